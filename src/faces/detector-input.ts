import type { RgbImage } from '../base/image.ts';
import { openCv } from '../base/opencv.ts';
import { float32, type Tensor } from '../math/tensor.ts';

export interface DetectorInput {
  /** [1, 3, side, side] */
  pixels: Tensor<'float32'>;
  /** How much the picture is enlarged for the detector. */
  scale: number;
}

/**
 * The picture, fitted into the upper left corner of a black square; red first, from -1 to 1. After insightface 0.7.3
 * `model_zoo/retinaface.py` `RetinaFace.detect`.
 *
 * @returns `undefined` where nothing would be left of a picture's shorter side
 */
export async function detectorInput(picture: RgbImage, side: number): Promise<DetectorInput | undefined> {
  const ratio = picture.height / picture.width;
  const width = ratio > 1 ? Math.trunc(side / ratio) : side;
  const height = ratio > 1 ? side : Math.trunc(side * ratio);
  if (width === 0 || height === 0) return undefined;
  const { data } = (await openCv()).resize(picture, width, height, 'linear');
  const pixels = float32([1, 3, side, side], new Float32Array(3 * side * side).fill(normalized(0)));
  for (let channel = 0; channel < 3; channel++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        pixels.data[(channel * side + y) * side + x] = normalized(data[(y * width + x) * 3 + channel]!);
      }
    }
  }
  return { pixels, scale: height / picture.height };
}

function normalized(value: number): number {
  return (value - 127.5) / 128;
}
