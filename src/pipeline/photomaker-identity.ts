/** PhotoMaker's photographs, and the prompt that they are mixed into. */
import { InputError } from '../base/errors.ts';
import { readImage } from '../base/image.ts';
import { float32, type Tensor } from '../math/tensor.ts';
import { photomakerIdConfig, photomakerIdNetwork } from '../networks/photomaker-id.ts';
import type { Residency } from '../runtime/residency.ts';
import { openWeights } from '../weights/scope.ts';
import { clipPixels, clipPixelsConfig } from './clip-pixels.ts';

/** How many times the longer side may be the shorter one: the whole picture is resized before its middle is cut out. */
const longestStrip = 50;

/**
 * Pixels on each side of what the identity encoder sees of a photograph.
 *
 * @param file PhotoMaker's `photomaker-v1.bin`
 */
export async function photographSide(file: string): Promise<number> {
  const { vision } = photomakerIdConfig({}, await openWeights([file]));
  return vision.grid * vision.patch;
}

/**
 * A photograph as the identity encoder sees it: whole, but for the ends of its longer side.
 *
 * @returns [1, 3, side, side]
 * @throws InputError naming the field, where it is no readable picture or a strip
 */
export async function readPhotograph(path: string, field: string, side: number): Promise<Tensor<'float32'>> {
  const photograph = await readImage(path, field);
  const { width, height } = photograph;
  if (Math.max(width, height) > longestStrip * Math.min(width, height)) {
    throw new InputError(
      `${field} is ${width}×${height}, a strip of which only the square in its middle would be seen; crop it to the ` +
        'person.',
      field,
    );
  }
  // The original's processor is made without a configuration, and so with CLIP's own.
  return clipPixels(photograph, clipPixelsConfig({ size: side, crop_size: side }));
}

/**
 * The prompt with the photographs mixed into the copies of its class word, in their order.
 *
 * @param file PhotoMaker's `photomaker-v1.bin`
 * @param photographs [1, 3, side, side] each
 * @param states of the prompt: [1, T, width]
 * @param classTokens where the copies are; fewer than photographs where the prompt's end was cut off
 * @returns [1, T, width]
 */
export async function mixIdentity(
  residency: Residency,
  file: string,
  photographs: readonly Tensor<'float32'>[],
  states: Tensor<'float32'>,
  classTokens: readonly boolean[],
): Promise<Tensor<'float32'>> {
  const [, channels, side] = photographs[0]!.dims as [number, number, number];
  const pixels = float32([1, photographs.length, channels, side, side]);
  for (const [index, { data }] of photographs.entries()) pixels.data.set(data, index * data.length);
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
