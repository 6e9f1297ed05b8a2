/**
 * Pictures as CLIP's vision encoder takes them, after huggingface/transformers v4.29.1
 * `models/clip/image_processing_clip.py` (`CLIPImageProcessor`) and `image_transforms.py`.
 *
 * Not here: padding of pictures that are smaller than the crop, kernels other than bicubic, steps left out.
 */
import { join } from 'node:path';
import type { RgbImage } from '../base/image.ts';
import { bicubic, resize } from '../base/resize.ts';
import { float32, type Tensor } from '../math/tensor.ts';
import { asCount, asOptions, refuseOthers, unsupported } from '../networks/config-options.ts';
import { readConfig } from '../weights/network-files.ts';

export interface ClipPixelsConfig {
  /** The smaller side becomes this long. */
  shortestEdge: number;
  /** Then this square is cut from the middle. */
  crop: number;
  mean: readonly [number, number, number];
  deviation: readonly [number, number, number];
}

/** @param folder of a repository; holds `feature_extractor/preprocessor_config.json` */
export async function readClipPixelsConfig(folder: string): Promise<ClipPixelsConfig> {
  return clipPixelsConfig(await readConfig(join(folder, 'feature_extractor', 'preprocessor_config.json')));
}

/** @throws WeightError naming what is not supported */
export function clipPixelsConfig(json: unknown): ClipPixelsConfig {
  const options = asOptions(json);
  refuseOthers(options, {
    do_resize: true,
    do_center_crop: true,
    do_rescale: true,
    rescale_factor: 1 / 255,
    do_normalize: true,
    resample: 3,
  });
  const shortestEdge = sizeOption(options.size, 'size', 'shortest_edge');
  const crop = sizeOption(options.crop_size, 'crop_size', 'height', 'width');
  if (crop > shortestEdge) throw unsupported('crop_size', options.crop_size);
  return {
    shortestEdge,
    crop,
    mean: threeNumbers(options.image_mean, 'image_mean', [0.48145466, 0.4578275, 0.40821073]),
    deviation: threeNumbers(options.image_std, 'image_std', [0.26862954, 0.26130258, 0.27577711]),
  };
}

/** One number, as older files have it, or an object that holds it under each of the names. */
function sizeOption(value: unknown, key: string, ...names: string[]): number {
  if (value === undefined) return 224;
  if (typeof value === 'number') return asCount(value, key);
  const found = new Set(names.map((name) => asOptions(value)[name]));
  if (found.size !== 1) throw unsupported(key, value);
  return asCount([...found][0], key);
}

type Three = readonly [number, number, number];

function threeNumbers(value: unknown, key: string, fallback: Three): Three {
  if (value === undefined) return fallback;
  if (!Array.isArray(value) || value.length !== 3 || !value.every(Number.isFinite)) throw unsupported(key, value);
  return value as unknown as Three;
}

/** [1, 3, crop, crop] */
export function clipPixels(
  picture: RgbImage,
  { shortestEdge, crop, mean, deviation }: ClipPixelsConfig,
): Tensor<'float32'> {
  const { width, height } = picture;
  // The longer side is cut off and not rounded.
  const side = (length: number): number => Math.trunc((shortestEdge * length) / Math.min(width, height));
  const resized = resize(picture, side(width), side(height), bicubic);
  const left = Math.floor((resized.width - crop) / 2);
  const top = Math.floor((resized.height - crop) / 2);
  const pixels = new Float32Array(3 * crop * crop);
  for (let channel = 0; channel < 3; channel++) {
    for (let y = 0; y < crop; y++) {
      for (let x = 0; x < crop; x++) {
        const value = resized.data[((top + y) * resized.width + left + x) * 3 + channel]!;
        pixels[(channel * crop + y) * crop + x] = (value / 255 - mean[channel]!) / deviation[channel]!;
      }
    }
  }
  return float32([1, 3, crop, crop], pixels);
}
