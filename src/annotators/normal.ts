/**
 * The direction that each surface faces, computed from depth; red is x, green is y, blue is z, after
 * anotherjesse/multi-control `midas_hack.py` at 1194962.
 *
 * Not here: the reversed channels of later releases of controlnet_aux. Which order a ControlNet wants stands in its
 * configuration.
 */
import { join } from 'node:path';
import { openCv } from '../base/opencv.ts';
import type { Raster } from '../base/raster.ts';
import type { Annotator } from './annotator.ts';
import { dptHybridNetwork } from './dpt-hybrid.ts';
import { inverseDepth, midasFile, midasWeights, nearness, resizeBack } from './midas.ts';

export const normal: Annotator = {
  weights: [midasWeights],

  async annotate(photograph, { folders: [folder], residency }) {
    const path = join(folder!, midasFile);
    const found = await inverseDepth(photograph, residency, (shape) => dptHybridNetwork(path, shape));
    return { ...(await resizeBack(await normalPicture(found), photograph)), channels: 3 };
  },
};

/** The length of every normal's z before it is divided by the normal's own length. */
const z = Math.fround(2 * Math.PI);
/** What is farther than this counts as background, and faces the camera. */
const background = Math.fround(0.1);

/** All in float32, as the original: rounding to it decides which values reach the next whole number. */
export async function normalPicture(found: Raster<Float32Array>): Promise<Raster<Uint8Array>> {
  const { width, height } = found;
  const { sobel } = await openCv();
  const across = sobel(found, 1, 0).data;
  const down = sobel(found, 0, 1).data;
  const near = nearness(found);
  const data = new Uint8Array(width * height * 3);
  for (let pixel = 0; pixel < near.length; pixel++) {
    const isBackground = near[pixel]! < background;
    const x = isBackground ? 0 : across[pixel]!;
    const y = isBackground ? 0 : down[pixel]!;
    const squares = Math.fround(Math.fround(Math.fround(x * x) + Math.fround(y * y)) + Math.fround(z * z));
    const length = Math.fround(Math.sqrt(squares));
    data[pixel * 3] = toByte(x / length);
    data[pixel * 3 + 1] = toByte(y / length);
    data[pixel * 3 + 2] = toByte(z / length);
  }
  return { width, height, channels: 3, data };
}

/** -1…1 -> 0…255 */
function toByte(value: number): number {
  const scaled = Math.fround(Math.fround(Math.fround(value) * 127.5) + 127.5);
  return Math.trunc(Math.max(0, Math.min(scaled, 255)));
}
