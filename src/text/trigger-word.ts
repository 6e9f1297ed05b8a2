/**
 * PhotoMaker's trigger word: `img` after the word for a person says where the photographs go in. The token for that word
 * is repeated once for each photograph, and `networks/photomaker-id.ts` mixes one into each. After TencentARC/PhotoMaker
 * at 6ec44fc `photomaker/pipeline.py` (`encode_prompt_with_trigger_word` and step 4 of the call).
 *
 * Not here: another word than `img`; several prompts.
 */
import { InputError } from '../base/errors.ts';
import { withAccents } from './clip-normalization.ts';
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

/**
 * The checks of the original, in its order and its words, on what was sent; `predict.py` at the same commit.
 *
 * @throws InputError unless the prompt has the trigger word once and the negative prompt does not have it
 */
export function checkTriggers(prompt: string, negativePrompt: string): void {
  requireTrigger(prompt);
  if (countTriggers(negativePrompt) > 0) {
    throw new InputError(
      `Cannot use trigger word '${trigger}' in negative prompt! ${insideWords} Take it out of negative_prompt.`,
      'negative_prompt',
    );
  }
}

const insideWords = "It also counts inside of another word, as in 'imgur'.";

/** @throws InputError unless the prompt has the trigger word once */
function requireTrigger(prompt: string): void {
  const count = countTriggers(prompt);
  if (count === 0) {
    throw new InputError(
      `Cannot find the trigger word '${trigger}' in text prompt! Write it in lower case after the word for the person ` +
        "in prompt, as in 'a photo of a woman img'.",
      'prompt',
    );
  }
  if (count > 1) {
    throw new InputError(
      `Cannot use multiple trigger words '${trigger}' in text prompt! prompt has it ${count} times; leave one. ` +
        insideWords,
      'prompt',
    );
  }
}

/** @throws InputError unless the prompt has the trigger word once */
export function identityPrompt(prompt: string, photos: number, padding: Padding): IdentityPrompt {
  const [before, after] = splitAtTrigger(prompt, padding);
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
 * tokens of the first tokenizer and back, which joins punctuation marks that the trigger stood between.
 *
 * @throws InputError unless the prompt has the trigger word once
 */
export function withoutTrigger(prompt: string): string {
  return decodeTokens(splitAtTrigger(prompt, endToken).flat());
}

function splitAtTrigger(prompt: string, padding: Padding): [before: number[], after: number[]] {
  requireTrigger(prompt);
  const [before, after] = prompt.split(trigger) as [string, string];
  return [encodeText(before, withAccents, padding), encodeText(after, withAccents, padding)];
}
