import { join } from 'node:path';
import type { RgbImage } from '../base/image.ts';
import { float32, type Tensor } from '../math/tensor.ts';
import { vaeScalingFactor } from '../networks/vae-config.ts';
import { vaeDecoderNetwork } from '../networks/vae-decoder.ts';
import type { Network, Residency } from '../runtime/residency.ts';
import { readNetworkConfig } from '../weights/network-files.ts';
import { tensorToPicture } from './picture.ts';
import { decodeTiled, needsTiles, type Tiling } from './tiled-decode.ts';

/** Where memory is short (docs/decisions/whole-decode.md). */
const tiling: Tiling = { tile: 64, factor: 8 };

export interface DecodeOptions {
  /** How a pixel becomes a byte, see `tensorToPicture`. */
  toWhole?: (value: number) => number;
}

/**
 * Decodes latents one picture at a time: the decoder's memory grows with the batch, its speed does not. A picture is decoded
 * as a whole, as the originals do, unless that takes more memory than networks may have; then in tiles.
 *
 * @param folder of a Stable Diffusion repository
 * @param latents [n, 4, H/8, W/8], scaled as the UNet sees them
 */
export async function* decodePictures(
  residency: Residency,
  folder: string,
  latents: Tensor<'float32'>,
  { toWhole }: DecodeOptions = {},
): AsyncGenerator<RgbImage> {
  const [pictures, channels, height, width] = latents.dims as [number, number, number, number];
  const size = channels * height * width;
  const scalingFactor = vaeScalingFactor(await readNetworkConfig(join(folder, 'vae')));
  const decoder = ({ dims }: Tensor<'float32'>): Network =>
    vaeDecoderNetwork(join(folder, 'vae'), { batch: 1, height: dims[2]!, width: dims[3]! });
  const decode = (part: Tensor<'float32'>): Promise<Tensor<'float32'>> =>
    residency.use(decoder(part), async (session) => {
      const { sample } = await session.run({ latents: part });
      return sample as Tensor<'float32'>;
    });
  const inTiles = needsTiles(latents, tiling) && !(await residency.fits(decoder(latents)));
  for (let picture = 0; picture < pictures; picture++) {
    const scaled = latents.data.slice(picture * size, (picture + 1) * size).map((value) => value / scalingFactor);
    const whole = float32([1, channels, height, width], scaled);
    yield tensorToPicture(inTiles ? await decodeTiled(whole, tiling, decode) : await decode(whole), toWhole);
  }
}
