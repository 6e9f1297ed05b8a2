import { float32, type Tensor } from '../math/tensor.ts';
import { resamplerNetwork } from '../networks/resampler.ts';
import type { Residency } from '../runtime/residency.ts';

/** Of InstantID: what one face becomes. */
export const tokensPerFace = 16;

/**
 * The tokens that a UNet's image attention and InstantID's ControlNets see of faces. Nobody's face is an embedding of
 * zeros, whose tokens are not zero.
 *
 * @param file InstantID's `ip-adapter.bin`
 * @param embeddings of one length
 * @returns [faces, 16, width of the UNet's context]
 */
export async function faceTokens(
  residency: Residency,
  file: string,
  embeddings: readonly Float32Array[],
): Promise<Tensor<'float32'>> {
  const length = embeddings[0]!.length;
  const embeds = float32([embeddings.length, 1, length]);
  for (const [row, embedding] of embeddings.entries()) embeds.data.set(embedding, row * length);
  return await residency.use(resamplerNetwork(file, { batch: embeddings.length, length: 1 }), async (session) => {
    const { tokens } = await session.run({ embeds });
    return tokens as Tensor<'float32'>;
  });
}
