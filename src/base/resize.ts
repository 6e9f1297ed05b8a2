import type { RgbImage } from './image.ts';

/** A resampling kernel. Pillow's other ones (bilinear, box, Hamming) differ in these two values alone. */
export interface Kernel {
  /** Half its width, in pixels of the source. */
  support: number;
  weight(distance: number): number;
}

export const lanczos: Kernel = {
  support: 3,
  weight: (distance) => (distance >= -3 && distance < 3 ? sinc(distance) * sinc(distance / 3) : 0),
};

/** Keys 1981 with a = −0.5, where OpenCV has −0.75. */
export const bicubic: Kernel = {
  support: 2,
  weight(distance) {
    const x = Math.abs(distance);
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
  },
};

export const bilinear: Kernel = {
  support: 1,
  weight: (distance) => Math.max(0, 1 - Math.abs(distance)),
};

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}

/**
 * Pillow's `Image.resize` on 8-bit channels, bit for bit: when the picture shrinks the kernel widens with it, rows are
 * resampled before columns, and the pixels between the two passes are rounded to 8 bits.
 * https://github.com/python-pillow/Pillow/blob/9.4.0/src/libImaging/Resample.c#L186-L430
 *
 * Not here: a source box, a reducing gap, 16-bit and float channels, premultiplied alpha.
 */
export function resize(image: RgbImage, width: number, height: number, kernel: Kernel): RgbImage {
  const wide = width === image.width ? image : resizeRows(image, width, kernel);
  return height === image.height ? wide : resizeColumns(wide, height, kernel);
}

/** Weights are 22-bit fixed-point numbers: 8 bits for the pixel and 2 for overshoot are left of 32. */
const precisionBits = 22;
const half = 1 << (precisionBits - 1);

interface Weights {
  /** First source pixel of each target pixel, and how many there are. */
  starts: Int32Array;
  counts: Int32Array;
  /** `stride` weights for each target pixel. */
  values: Int32Array;
  stride: number;
}

function weightsFor(sourceSize: number, targetSize: number, kernel: Kernel): Weights {
  const scale = sourceSize / targetSize;
  const widening = Math.max(scale, 1);
  const support = kernel.support * widening;
  const stride = Math.ceil(support) * 2 + 1;
  const starts = new Int32Array(targetSize);
  const counts = new Int32Array(targetSize);
  const values = new Int32Array(targetSize * stride);
  const row = new Float64Array(stride);

  for (let target = 0; target < targetSize; target++) {
    const center = (target + 0.5) * scale;
    const start = Math.max(0, Math.trunc(center - support + 0.5));
    const end = Math.min(sourceSize, Math.trunc(center + support + 0.5));
    let sum = 0;
    for (let source = start; source < end; source++) {
      const weight = kernel.weight((source - center + 0.5) * (1 / widening));
      row[source - start] = weight;
      sum += weight;
    }
    for (let index = 0; index < end - start; index++) {
      const fixed = (sum === 0 ? row[index]! : row[index]! / sum) * 2 ** precisionBits;
      values[target * stride + index] = Math.trunc(fixed + (fixed < 0 ? -0.5 : 0.5));
    }
    starts[target] = start;
    counts[target] = end - start;
  }
  return { starts, counts, values, stride };
}

function resizeRows(image: RgbImage, width: number, kernel: Kernel): RgbImage {
  const { starts, counts, values, stride } = weightsFor(image.width, width, kernel);
  const source = image.data;
  const data = new Uint8Array(width * image.height * 3);
  for (let y = 0; y < image.height; y++) {
    for (let x = 0; x < width; x++) {
      let red = half;
      let green = half;
      let blue = half;
      let from = (y * image.width + starts[x]!) * 3;
      const end = x * stride + counts[x]!;
      for (let index = x * stride; index < end; index++, from += 3) {
        const weight = values[index]!;
        red += source[from]! * weight;
        green += source[from + 1]! * weight;
        blue += source[from + 2]! * weight;
      }
      const to = (y * width + x) * 3;
      data[to] = toByte(red);
      data[to + 1] = toByte(green);
      data[to + 2] = toByte(blue);
    }
  }
  return { width, height: image.height, channels: 3, data };
}

function resizeColumns(image: RgbImage, height: number, kernel: Kernel): RgbImage {
  const { starts, counts, values, stride } = weightsFor(image.height, height, kernel);
  const source = image.data;
  const rowLength = image.width * 3;
  const data = new Uint8Array(rowLength * height);
  const sums = new Int32Array(rowLength);
  for (let y = 0; y < height; y++) {
    sums.fill(half);
    for (let index = 0; index < counts[y]!; index++) {
      const weight = values[y * stride + index]!;
      const from = (starts[y]! + index) * rowLength;
      for (let x = 0; x < rowLength; x++) sums[x] = sums[x]! + source[from + x]! * weight;
    }
    for (let x = 0; x < rowLength; x++) data[y * rowLength + x] = toByte(sums[x]!);
  }
  return { width: image.width, height, channels: 3, data };
}

function toByte(fixed: number): number {
  return Math.max(0, Math.min(fixed >> precisionBits, 255));
}
