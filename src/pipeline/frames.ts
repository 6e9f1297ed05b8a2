import type { RgbImage } from '../base/image.ts';
import { float32, type Tensor } from '../math/tensor.ts';
import type { Network } from '../onnx/model.ts';
import type { Residency } from '../runtime/residency.ts';
import { tensorToPicture } from './picture.ts';

/**
 * Decodes the latents of a film one frame at a time, as AnimateDiff's pipeline does, which then cuts values off to whole
 * numbers where others round.
 *
 * @param decoder for one frame
 * @param latents [1, 4, F, H/8, W/8], scaled as the UNet sees them
 * @param scalingFactor of the autoencoder: 0.18215 for Stable Diffusion 1.5
 */
export async function* decodeFrames(
  residency: Residency,
  decoder: Network,
  latents: Tensor<'float32'>,
  scalingFactor: number,
): AsyncGenerator<RgbImage> {
  const [, channels, frames, height, width] = latents.dims as [number, number, number, number, number];
  const area = height * width;
  for (let frame = 0; frame < frames; frame++) {
    const scaled = float32([1, channels, height, width]);
    for (let channel = 0; channel < channels; channel++) {
      const plane = latents.data.subarray((channel * frames + frame) * area, (channel * frames + frame + 1) * area);
      scaled.data.set(
        plane.map((value) => value / scalingFactor),
        channel * area,
      );
    }
    yield await residency.use(decoder, async (session) => {
      const { sample } = await session.run({ latents: scaled });
      return tensorToPicture(sample as Tensor<'float32'>, Math.trunc);
    });
  }
}
