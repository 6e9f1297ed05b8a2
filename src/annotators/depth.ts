/** Depth in grey, near is bright; after anotherjesse/multi-control `midas_hack.py` at 1194962. */
import { join } from 'node:path';
import type { Raster } from '../base/raster.ts';
import type { Annotator } from './annotator.ts';
import { dptHybridNetwork } from './dpt-hybrid.ts';
import { fromGrey } from './grey.ts';
import { inverseDepth, midasFile, midasWeights, nearness, resizeBack } from './midas.ts';

export const depth: Annotator = {
  weights: [midasWeights],

  async annotate(photograph, { folders: [folder], residency }) {
    const path = join(folder!, midasFile);
    const found = await inverseDepth(photograph, residency, (shape) => dptHybridNetwork(path, shape));
    return fromGrey(await resizeBack(depthPicture(found), photograph));
  },
};

export function depthPicture(found: Raster<Float32Array>): Raster<Uint8Array> {
  const { width, height } = found;
  // In float32, as the original: rounding to it decides which values reach the next whole number.
  const data = Uint8Array.from(nearness(found), (value) => Math.fround(value * 255));
  return { width, height, channels: 1, data };
}
