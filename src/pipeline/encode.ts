import { join } from 'node:path';
import type { RgbImage } from '../base/image.ts';
import { float32, type Tensor } from '../math/tensor.ts';
import { vaeScalingFactor } from '../networks/vae-config.ts';
import { vaeEncoderNetwork } from '../networks/vae-encoder.ts';
import type { Residency } from '../runtime/residency.ts';
import { readNetworkConfig } from '../weights/network-files.ts';
import { latentsFromMoments } from './latents.ts';
import { pictureToTensor } from './picture.ts';

/**
 * The most likely latents of a picture. The references draw them, with a deviation too small to see.
 *
 * @param folder of a Stable Diffusion repository
 * @param picture with sides that are multiples of 8
 * @returns [1, 4, H/8, W/8], scaled as the UNet sees them
 */
export async function encodePicture(
  residency: Residency,
  folder: string,
  picture: RgbImage,
): Promise<Tensor<'float32'>> {
  const scalingFactor = vaeScalingFactor(await readNetworkConfig(join(folder, 'vae')));
  const { dims, data } = pictureToTensor(picture);
  const { width, height } = picture;
  const encoder = vaeEncoderNetwork(join(folder, 'vae'), { batch: 1, height, width });
  const { moments } = await residency.use(encoder, (session) =>
    session.run({
      sample: float32(
        dims,
        data.map((value) => value * 2 - 1),
      ),
    }),
  );
  return latentsFromMoments(moments as Tensor<'float32'>, undefined, scalingFactor);
}
