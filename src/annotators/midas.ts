/**
 * How near everything in a photograph is, by MiDaS' DPT-hybrid: what the structures "depth" and "normal" share, after
 * huggingface/controlnet_aux v0.0.3 `midas/__init__.py`.
 */
import type { RgbImage } from '../base/image.ts';
import { openCv } from '../base/opencv.ts';
import type { Raster } from '../base/raster.ts';
import type { WeightRepository } from '../catalog/model.ts';
import { float32, type Tensor } from '../math/tensor.ts';
import type { Network, Residency } from '../runtime/residency.ts';
import { resizeForDetection } from './detect-size.ts';
import type { DptHybridShape } from './dpt-hybrid.ts';

export const midasFile = 'annotator/ckpts/dpt_hybrid-midas-501f0c75.pt';

/** The network and its weights: isl-org/MiDaS, MIT. */
export const midasWeights: WeightRepository = {
  repository: 'lllyasviel/ControlNet',
  revision: 'e78a8c4a5052a238198043ee5c0cb44e22abb9f7',
  files: [{ path: midasFile, sha256: '501f0c75b3bca7daec6b3682c5054c09b366765aef6fa3a09d03a5cb4b230853' }],
  licence: 'MIT',
  commercialUse: true,
};

/** What the network is given at most: it takes 2 KB of memory a pixel and more than twice the time for twice as many. */
const largestArea = 1024 * 1024;
/** The network halves pictures five times. */
const step = 32;
const resolution = 512;

/**
 * Greater is nearer, of no known scale; of the photograph's size or of another one that the network can look at.
 *
 * @param network the one for pictures of a shape
 */
export async function inverseDepth(
  photograph: RgbImage,
  residency: Residency,
  network: (shape: DptHybridShape) => Network,
): Promise<Raster<Float32Array>> {
  const picture = await resizeForDepth(photograph);
  const { width, height } = picture;
  const results = await residency.use(network({ batch: 1, height, width }), (session) =>
    session.run({ pixel_values: networkInput(picture) }),
  );
  return { width, height, channels: 1, data: (results.predicted_depth as Tensor<'float32'>).data };
}

/**
 * The original gives the network the photograph as it is, and fails where a side is not a multiple of 32. As it is
 * where that works, with the smaller side at 512 as in later releases where it does not; a strip of more than 1:4, and
 * what is larger than memory allows, with as many pixels as are allowed.
 */
export async function resizeForDepth(photograph: RgbImage): Promise<RgbImage> {
  const { width, height } = photograph;
  if (width % step === 0 && height % step === 0 && width * height <= largestArea) return photograph;
  const ratio = Math.max(width, height) / Math.min(width, height);
  if (resolution ** 2 * ratio <= largestArea) return resizeForDetection(photograph, resolution);
  const shorter = downToStep(Math.max(step, Math.sqrt(largestArea / ratio)));
  const longer = downToStep(Math.min(largestArea / step, Math.sqrt(largestArea * ratio)));
  const [newWidth, newHeight] = width < height ? [shorter, longer] : [longer, shorter];
  const { resize } = await openCv();
  const enlarges = shorter > Math.min(width, height);
  return { ...resize(photograph, newWidth, newHeight, enlarges ? 'lanczos4' : 'area'), channels: 3 };
}

function downToStep(side: number): number {
  return step * Math.floor(side / step);
}

/** [H, W, 3] of 0…255 -> [1, 3, H, W] of -1…1 */
export function networkInput({ width, height, data }: RgbImage): Tensor<'float32'> {
  const size = width * height;
  const pixels = float32([1, 3, height, width]);
  for (let pixel = 0; pixel < size; pixel++) {
    for (let channel = 0; channel < 3; channel++) {
      pixels.data[channel * size + pixel] = Math.fround(data[pixel * 3 + channel]! / 127.5) - 1;
    }
  }
  return pixels;
}

/**
 * From 0, the farthest, to 1, the nearest. All 0 where everything is equally near: the original divides 0 by 0 there,
 * and the processors that it runs on make the same picture of that.
 */
export function nearness({ data }: Raster<Float32Array>): Float32Array {
  let least = Infinity;
  let greatest = -Infinity;
  for (const value of data) {
    if (value < least) least = value;
    if (value > greatest) greatest = value;
  }
  const range = Math.fround(greatest - least);
  return range > 0 ? data.map((value) => Math.fround(value - least) / range) : new Float32Array(data.length);
}

/** A picture of what was found as large as the photograph. */
export async function resizeBack(found: Raster<Uint8Array>, { width, height }: RgbImage): Promise<Raster<Uint8Array>> {
  if (found.width === width && found.height === height) return found;
  const { resize } = await openCv();
  return resize(found, width, height, 'linear');
}
