import { join } from 'node:path';
import { float32, type Tensor } from '../math/tensor.ts';
import { clipTextNetwork } from '../networks/clip-text.ts';
import type { Residency } from '../runtime/residency.ts';
import { withoutAccents } from '../text/clip-normalization.ts';
import { tokenizePrompt, windowLength } from '../text/clip-tokenizer.ts';
import { endToken } from '../text/clip-vocabulary.ts';
import { shortened } from './shortened.ts';

/**
 * The text encoder's last hidden state of each prompt, each repeated for the pictures of a batch: the order that
 * the network sees is every picture of the first prompt, then every picture of the second.
 *
 * @param folder of a Stable Diffusion repository
 * @param prompts one, or unconditional and conditional
 * @returns [prompts × pictures, 77, width]
 */
export async function encodePrompts(
  residency: Residency,
  folder: string,
  prompts: readonly string[],
  pictures: number,
  log: (line: string) => void,
): Promise<Tensor<'float32'>> {
  const ids = new Int32Array(prompts.length * windowLength);
  for (const [row, prompt] of prompts.entries()) {
    const { ids: tokens, removed } = tokenizePrompt(prompt, withoutAccents, endToken);
    ids.set(tokens, row * windowLength);
    if (removed) log(truncationNotice(removed));
  }
  const encoder = clipTextNetwork(join(folder, 'text_encoder'), { batch: prompts.length, length: windowLength }, [
    'last_hidden_state',
  ]);
  return residency.use(encoder, async (session) => {
    const result = await session.run({
      input_ids: { type: 'int32', dims: [prompts.length, windowLength], data: ids },
    });
    return repeatRows(result.last_hidden_state as Tensor<'float32'>, pictures);
  });
}

/** The original's words; a very long rest is cut, so that it does not fill the prediction's logs. */
export function truncationNotice(rest: string): string {
  return (
    'The following part of your input was truncated because CLIP can only handle sequences up to ' +
    `${windowLength} tokens: ['${shortened(rest)}']`
  );
}

/** [rows, …] -> [rows × times, …], each row followed by its copies. */
function repeatRows(tensor: Tensor<'float32'>, times: number): Tensor<'float32'> {
  const [rows, ...rest] = tensor.dims as [number, ...number[]];
  const length = tensor.data.length / rows;
  const repeated = float32([rows * times, ...rest]);
  for (let row = 0; row < rows; row++) {
    const values = tensor.data.subarray(row * length, (row + 1) * length);
    for (let copy = 0; copy < times; copy++) repeated.data.set(values, (row * times + copy) * length);
  }
  return repeated;
}
