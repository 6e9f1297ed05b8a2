import { fromMat, type Keep, type Library, type Mat, toMat, withMemory } from './opencv-library.ts';
import type { Raster, RasterData } from './raster.ts';

/**
 * How pixels between pixels are found. `linear`, `cubic` and `lanczos4` look at 2, 4 and 8 pixels each way, however
 * small the result; `area` is the mean of what falls onto a pixel.
 */
export type Interpolation = 'nearest' | 'linear' | 'cubic' | 'area' | 'lanczos4';

export interface Filters {
  resize<Data extends RasterData>(
    image: Raster<Data>,
    width: number,
    height: number,
    interpolation: Interpolation,
  ): Raster<Data>;
  /**
   * Both sides are multiplied and rounded to even, and yet pixels are sampled at a distance of exactly 1/factor: with
   * sides that were rounded, this is not what `resize` to the same size gives.
   */
  resizeBy<Data extends RasterData>(image: Raster<Data>, factor: number, interpolation: Interpolation): Raster<Data>;
  /** By a kernel of 6 σ + 1 pixels for bytes and 8 σ + 1 for floats, rounded to odd. Outside is the picture reflected. */
  gaussianBlur<Data extends RasterData>(image: Raster<Data>, sigma: number): Raster<Data>;
  /** The derivative of order `dx` along rows and `dy` along columns, by 3 × 3 pixels. Outside is the picture reflected. */
  sobel(image: Raster<Float32Array>, dx: number, dy: number): Raster<Float32Array>;
  /** The largest value around each pixel, where the kernel is not zero; its sides are odd. */
  dilate<Data extends RasterData>(image: Raster<Data>, kernel: readonly (readonly number[])[]): Raster<Data>;
  /**
   * @param matrix where a pixel of the picture goes: (ax + by + c, dx + ey + f) as [a, b, c, d, e, f]
   * @returns linearly interpolated, black where nothing came
   */
  warpAffine<Data extends RasterData>(
    image: Raster<Data>,
    matrix: readonly number[],
    width: number,
    height: number,
  ): Raster<Data>;
  /** Edges are 255, the rest is 0: with the Sobel aperture 3 and the L1 norm; one channel, whatever the picture has. */
  canny(image: Raster<Uint8Array>, lowThreshold: number, highThreshold: number): Raster<Uint8Array>;
}

export function filters(cv: Library): Filters {
  const interpolations: Record<Interpolation, number> = {
    nearest: cv.INTER_NEAREST,
    linear: cv.INTER_LINEAR,
    cubic: cv.INTER_CUBIC,
    area: cv.INTER_AREA,
    lanczos4: cv.INTER_LANCZOS4,
  };
  const sameDepth = -1;

  /** Runs an operation from one picture to another one. */
  function apply<Data extends RasterData>(
    image: Raster<Data>,
    operation: (source: Mat, target: Mat, keep: Keep) => void,
  ): Raster<Data> {
    return withMemory(cv, (keep) => {
      const source = keep(toMat(cv, image));
      const target = keep(new cv.Mat());
      operation(source, target, keep);
      return fromMat(target, image);
    });
  }

  return {
    resize: (image, width, height, interpolation) =>
      apply(image, (source, target) =>
        cv.resize(source, target, new cv.Size(width, height), 0, 0, interpolations[interpolation]),
      ),
    resizeBy: (image, factor, interpolation) =>
      apply(image, (source, target) =>
        cv.resize(source, target, new cv.Size(0, 0), factor, factor, interpolations[interpolation]),
      ),
    gaussianBlur: (image, sigma) =>
      apply(image, (source, target) => cv.GaussianBlur(source, target, new cv.Size(0, 0), sigma)),
    sobel: (image, dx, dy) => apply(image, (source, target) => cv.Sobel(source, target, sameDepth, dx, dy)),
    dilate: (image, kernel) =>
      apply(image, (source, target, keep) => {
        const shape = { width: kernel[0]!.length, height: kernel.length, channels: 1 };
        cv.dilate(source, target, keep(toMat(cv, { ...shape, data: Uint8Array.from(kernel.flat()) })));
      }),
    warpAffine: (image, matrix, width, height) =>
      apply(image, (source, target, keep) => {
        const mat = keep(toMat(cv, { width: 3, height: 2, channels: 1, data: Float64Array.from(matrix) }));
        cv.warpAffine(source, target, mat, new cv.Size(width, height), cv.INTER_LINEAR, cv.BORDER_CONSTANT);
      }),
    canny: (image, lowThreshold, highThreshold) =>
      apply(image, (source, target) => cv.Canny(source, target, lowThreshold, highThreshold)),
  };
}
