/** PhotoMaker's photographs, and the prompt that they are mixed into. */
import { InputError } from '../base/errors.ts';
import { type RgbImage, readImage } from '../base/image.ts';
import { float32, type Tensor } from '../math/tensor.ts';
import { photomakerIdConfig, photomakerIdNetwork } from '../networks/photomaker-id.ts';
import type { Residency } from '../runtime/residency.ts';
import { openWeights } from '../weights/scope.ts';
import { clipPixels, clipPixelsConfig } from './clip-pixels.ts';

/** How many times the longer side may be the shorter one: the whole picture is resized before its middle is cut out. */
const longestStrip = 50;

/** @throws InputError naming the field, where it is no readable picture or a strip */
export async function readPhotograph(path: string, field: string): Promise<RgbImage> {
  const photograph = await readImage(path, field);
  const { width, height } = photograph;
  if (Math.max(width, height) <= longestStrip * Math.min(width, height)) return photograph;
  throw new InputError(
    `${field} has ${width} × ${height} pixels, a strip of which only the square in its middle would be seen; send a ` +
      'picture of a person.',
    field,
  );
}

/**
 * The prompt with the photographs mixed into the copies of its class word, in their order.
 *
 * @param file PhotoMaker's `photomaker-v1.bin`
 * @param photographs seen whole: the smaller side is resized, and the middle of the longer one cut out
 * @param states of the prompt: [1, T, width]
 * @param classTokens where the copies are; fewer than photographs where the prompt's end was cut off
 * @returns [1, T, width]
 */
export async function mixIdentity(
  residency: Residency,
  file: string,
  photographs: readonly RgbImage[],
  states: Tensor<'float32'>,
  classTokens: readonly boolean[],
): Promise<Tensor<'float32'>> {
  const { vision } = photomakerIdConfig({}, await openWeights([file]));
  const side = vision.grid * vision.patch;
  // The original's processor is made without a configuration, and so with CLIP's own.
  const preparation = clipPixelsConfig({ size: side, crop_size: side });
  const pixels = float32([1, photographs.length, vision.channels, side, side]);
  for (const [index, photograph] of photographs.entries()) {
    const { data } = clipPixels(photograph, preparation);
    pixels.data.set(data, index * data.length);
  }
  const textLength = classTokens.length;
  const encoder = photomakerIdNetwork(file, { photos: photographs.length, textLength });
  const mask = BigInt64Array.from(classTokens, BigInt);
  return residency.use(encoder, async (session) => {
    const { prompt_embeds } = await session.run({
      id_pixel_values: pixels,
      prompt_embeds: states,
      class_tokens_mask: { type: 'int64', dims: [1, textLength], data: mask },
    });
    return prompt_embeds as Tensor<'float32'>;
  });
}
