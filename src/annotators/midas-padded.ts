/**
 * Depth in grey, near is bright, as the node "MiDaS depth map" of Fannovel16/comfyui_controlnet_aux at 6d6f63c draws it
 * (`src/controlnet_aux/midas/__init__.py`, `util.py`): the network is the one of the structure "depth", what it is shown
 * is not.
 *
 * Not here: the map of normals, which the node also makes and passes over.
 */
import { join } from 'node:path';
import type { RgbImage } from '../base/image.ts';
import { cutOut } from '../base/nearest.ts';
import { openCv } from '../base/opencv.ts';
import { roundHalfToEven } from '../math/round.ts';
import type { Tensor } from '../math/tensor.ts';
import type { Residency } from '../runtime/residency.ts';
import { depthPicture } from './depth.ts';
import { dptHybridNetwork } from './dpt-hybrid.ts';
import { fromGrey } from './grey.ts';
import { midasFile, networkInput } from './midas.ts';

/** Sides that the network is shown are multiples of this. */
const multiple = 64;

/**
 * @param resolution of the picture's smaller side
 * @param folder of `midasWeights`
 * @returns a picture of that resolution
 */
export async function paddedDepth(
  picture: RgbImage,
  resolution: number,
  folder: string,
  residency: Residency,
): Promise<RgbImage> {
  const resized = await resizeForDepthMap(picture, resolution);
  const padded = repeatEdges(resized, upToMultiple(resized.width), upToMultiple(resized.height));
  const { width, height } = padded;
  const network = dptHybridNetwork(join(folder, midasFile), { batch: 1, height, width });
  const { predicted_depth } = await residency.use(network, (session) =>
    session.run({ pixel_values: networkInput(padded) }),
  );
  // The greatest and the least value may lie where nothing of the picture is.
  const map = fromGrey(depthPicture({ width, height, channels: 1, data: (predicted_depth as Tensor<'float32'>).data }));
  return cutOut(map, 0, 0, resized.width, resized.height);
}

async function resizeForDepthMap(picture: RgbImage, resolution: number): Promise<RgbImage> {
  const factor = resolution / Math.min(picture.width, picture.height);
  const side = (pixels: number): number => roundHalfToEven(pixels * factor);
  const { resize } = await openCv();
  return {
    ...resize(picture, side(picture.width), side(picture.height), factor > 1 ? 'cubic' : 'area'),
    channels: 3,
  };
}

function upToMultiple(side: number): number {
  return Math.ceil(side / multiple) * multiple;
}

/** To the right and below. */
export function repeatEdges(picture: RgbImage, width: number, height: number): RgbImage {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const row = Math.min(y, picture.height - 1) * picture.width;
    for (let x = 0; x < width; x++) {
      const from = (row + Math.min(x, picture.width - 1)) * 3;
      data.set(picture.data.subarray(from, from + 3), (y * width + x) * 3);
    }
  }
  return { width, height, channels: 3, data };
}
