/**
 * PhotoMaker's trigger word: `img` after the word for a person says where the photographs go in. The token for that word
 * is repeated once for each photograph, and `networks/photomaker-id.ts` mixes one into each. After TencentARC/PhotoMaker
 * at 6ec44fc `photomaker/pipeline.py` (`encode_prompt_with_trigger_word` and step 4 of the call).
 *
 * Not here: another word than `img`; several prompts.
 */
import { InputError } from '../base/errors.ts';
import type { Normalization } from './clip-normalization.ts';
import { decodeTokens, encodeText, type Padding, windowLength } from './clip-tokenizer.ts';
import { endToken, startToken } from './clip-vocabulary.ts';

export interface IdentityPrompt {
  /** 77 tokens; the end is missing where the prompt is longer, unlike in an ordinary prompt. */
  ids: number[];
  /** Where the class word and its copies are. None of them where the word lies beyond the window. */
  classTokens: boolean[];
}

const trigger = 'img';

/** How often the trigger word occurs. It is found inside of other words, and only in lower case. */
export function countTriggers(text: string): number {
  return text.split(trigger).length - 1;
}

/** @throws InputError unless the prompt has the trigger word once */
export function identityPrompt(
  prompt: string,
  photos: number,
  normalize: Normalization,
  padding: Padding,
): IdentityPrompt {
  const [before, after] = splitAtTrigger(prompt, normalize);
  const leading = [startToken, ...before];
  // One token alone: of a word of several tokens it is the last, and of a prompt that begins with the trigger the start.
  const classIndex = leading.length - 1;
  const copies = new Array<number>(photos).fill(leading[classIndex]!);
  const tokens = [...leading.slice(0, classIndex), ...copies, ...after, endToken].slice(0, windowLength);
  return {
    ids: [...tokens, ...new Array<number>(windowLength - tokens.length).fill(padding)],
    classTokens: Array.from({ length: windowLength }, (_, index) => index >= classIndex && index < classIndex + photos),
  };
}

/**
 * The prompt without the trigger word, as it is encoded for the steps before the photographs take part. It went through
 * tokens and back, which joins punctuation marks that the trigger stood between.
 *
 * @throws InputError unless the prompt has the trigger word once
 */
export function withoutTrigger(prompt: string, normalize: Normalization): string {
  return decodeTokens(splitAtTrigger(prompt, normalize).flat());
}

function splitAtTrigger(prompt: string, normalize: Normalization): [before: number[], after: number[]] {
  if (countTriggers(prompt) !== 1) {
    throw new InputError(`The prompt needs the trigger word "${trigger}" exactly once: ${prompt}`, 'prompt');
  }
  const [before, after] = prompt.split(trigger) as [string, string];
  return [encodeText(before, normalize), encodeText(after, normalize)];
}
