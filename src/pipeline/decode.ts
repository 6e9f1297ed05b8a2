import { join } from 'node:path';
import type { RgbImage } from '../base/image.ts';
import { float32, type Tensor } from '../math/tensor.ts';
import { vaeDecoderNetwork } from '../networks/vae-decoder.ts';
import type { Residency } from '../runtime/residency.ts';
import { tensorToPicture } from './picture.ts';

/**
 * Decodes latents one picture at a time: the decoder's memory grows with the batch, its speed does not.
 *
 * @param folder of a Stable Diffusion repository
 * @param latents [n, 4, H/8, W/8], scaled as the UNet sees them
 * @param scalingFactor of the autoencoder: 0.18215 for Stable Diffusion 1.5
 */
export async function* decodePictures(
  residency: Residency,
  folder: string,
  latents: Tensor<'float32'>,
  scalingFactor: number,
): AsyncGenerator<RgbImage> {
  const [pictures, channels, height, width] = latents.dims as [number, number, number, number];
  const size = channels * height * width;
  const decoder = vaeDecoderNetwork(join(folder, 'vae'), { batch: 1, height, width });
  for (let picture = 0; picture < pictures; picture++) {
    const scaled = latents.data.slice(picture * size, (picture + 1) * size).map((value) => value / scalingFactor);
    const decoded = await residency.use(decoder, (session) =>
      session.run({ latents: float32([1, channels, height, width], scaled) }),
    );
    yield tensorToPicture(decoded.sample as Tensor<'float32'>);
  }
}
