import { InputError, RuntimeFailure } from '../base/errors.ts';
import { hasWeights } from '../text/weighted-prompt.ts';
import type { ComfyTokens } from './comfy-prompt.ts';

/**
 * What is too large for float32 becomes infinite, then no number at all, and that spreads over all of the picture, which
 * then is black. The callers' share in it are a LoRA of theirs and weights in the prompts.
 *
 * @throws InputError naming `custom_lora_url` or a prompt's field, else RuntimeFailure
 */
export function checkNumbers(values: Float32Array, ownLora: boolean, prompts: readonly ComfyTokens[]): void {
  if (values.every(Number.isFinite)) return;
  const fault = 'the networks answer with what is no number, and the picture would be black';
  if (ownLora) {
    throw new InputError(
      `custom_lora_url: with this LoRA ${fault}. It is damaged or far too strong; use another one, or a lower lora_scale.`,
      'custom_lora_url',
    );
  }
  const weighted = prompts.find(({ first }) => hasWeights(first));
  if (!weighted) throw new RuntimeFailure(`Of these inputs ${fault}; the weight files may be damaged.`);
  throw new InputError(`${weighted.field}: with these weights of words ${fault}. Use smaller ones.`, weighted.field);
}
