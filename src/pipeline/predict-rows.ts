/**
 * Networks of Stable Diffusion XL are built for one picture, and the rows of a batch run one after another: a CPU needs
 * the same time for it, memory grows neither with guidance nor with the number of pictures, one graph serves any number of
 * them, and a prediction can be canceled between two rows.
 */
import type { CancelSignal } from '../catalog/model.ts';
import { float32, scalar, sizeOf, type Tensor } from '../math/tensor.ts';
import type { Session } from '../runtime/session.ts';

/** Everything that a network of batch 1 is fed beside `sample` and `timestep`. */
export type ConditionFeeds = Readonly<Record<string, Tensor>>;

/**
 * @param session a UNet of batch 1
 * @param conditions what the pictures are drawn after: with guidance the unconditional one first, else one alone
 * @param latents of all pictures: [n, C, H, W]
 * @returns for each condition every picture: [conditions × n, C, H, W], as `classifierFreeGuidance` takes it
 */
export async function predictRows(
  session: Session,
  conditions: readonly ConditionFeeds[],
  latents: Float32Array,
  timestep: number,
  signal: CancelSignal,
): Promise<Tensor<'float32'>> {
  const { dims } = session.inputs.find(({ name }) => name === 'sample')!;
  const size = sizeOf(dims);
  const pictures = latents.length / size;
  const predictions = float32([conditions.length * pictures, ...dims.slice(1)]);
  for (const [index, condition] of conditions.entries()) {
    for (let picture = 0; picture < pictures; picture++) {
      signal.throwIfAborted();
      const { sample } = await session.run({
        ...condition,
        sample: float32(dims, latents.slice(picture * size, (picture + 1) * size)),
        timestep: scalar(timestep),
      });
      predictions.data.set(sample!.data as Float32Array, (index * pictures + picture) * size);
    }
  }
  return predictions;
}
