import type { RgbImage } from '../base/image.ts';
import { roundHalfToEven } from '../math/round.ts';
import { float32, type Tensor } from '../math/tensor.ts';

/** An RGB picture as a network's input: [H, W, 3] of 0…255 -> [1, 3, H, W] of 0…1. */
export function pictureToTensor(image: RgbImage): Tensor<'float32'> {
  const area = image.width * image.height;
  const planes = new Float32Array(3 * area);
  for (let pixel = 0; pixel < area; pixel++) {
    for (let channel = 0; channel < 3; channel++) {
      planes[channel * area + pixel] = image.data[pixel * 3 + channel]! / 255;
    }
  }
  return float32([1, 3, image.height, image.width], planes);
}

/**
 * A decoder's output as an RGB picture: [1, 3, H, W] of −1…1 -> [H, W, 3] of 0…255, in float32 as the references compute.
 *
 * @param toWhole rounds halves to even unless given
 */
export function tensorToPicture(
  tensor: Tensor<'float32'>,
  toWhole: (value: number) => number = roundHalfToEven,
): RgbImage {
  const [, , height, width] = tensor.dims as [number, number, number, number];
  const area = width * height;
  const data = new Uint8Array(3 * area);
  for (let pixel = 0; pixel < area; pixel++) {
    for (let channel = 0; channel < 3; channel++) {
      const value = Math.fround(tensor.data[channel * area + pixel]! / 2 + 0.5);
      data[pixel * 3 + channel] = toWhole(Math.fround(Math.min(1, Math.max(0, value)) * 255));
    }
  }
  return { width, height, channels: 3, data };
}
