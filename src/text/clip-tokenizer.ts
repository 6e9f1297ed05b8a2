/**
 * CLIP's tokenizer as transformers runs it.
 * https://github.com/huggingface/transformers/blob/v4.36.2/src/transformers/models/clip/tokenization_clip.py#L262-L470
 *
 * Not here: pairs of texts.
 */
import type { Normalization } from './clip-normalization.ts';
import { clipVocabulary, endToken, startToken } from './clip-vocabulary.ts';
import { mergeWord } from './merge-word.ts';

/** Tokens that the text encoder sees, with those that start and end the text. */
export const windowLength = 77;

/** What fills a window: the end token again, but with Stable Diffusion XL's second encoder token 0, a `!`. */
export type Padding = typeof endToken | 0;

export interface TokenizedPrompt {
  /** 77 tokens: start, text, end, padding. */
  ids: number[];
  /** The end of the prompt that did not fit, as the tokens spell it; empty when all of it did. */
  removed: string;
}

export function tokenizePrompt(text: string, normalize: Normalization, padding: Padding): TokenizedPrompt {
  const tokens = encodeText(text, normalize, padding);
  const kept = tokens.slice(0, windowLength - 2);
  return { ids: windowOf(kept, padding), removed: decodeTokens(tokens.slice(kept.length)) };
}

/** @param tokens at most 75 */
export function windowOf(tokens: readonly number[], padding: Padding): number[] {
  const rest = new Array<number>(windowLength - 2 - tokens.length).fill(padding);
  return [startToken, ...tokens, endToken, ...rest];
}

/**
 * The tokens of a text of any length, without those that start and end it.
 *
 * @param padding of the tokenizer, to which that token is a special one: where it is token 0, every `!` of the text
 *   becomes that token and stands alone, where the others have tokens for `!` at the end of a word, `!!` and `?!`
 */
export function encodeText(text: string, normalize: Normalization, padding: Padding): number[] {
  const tokens: number[] = [];
  const { spelled, tokens: special } = specialTokens[padding];
  const known = new Map(special);
  for (const [index, part] of text.split(spelled).entries()) {
    const isSpecial = index % 2 === 1;
    for (const [word] of (isSpecial ? part : normalize(part)).matchAll(words)) {
      const merged = known.get(word) ?? mergeWord(clipVocabulary(), Buffer.from(word));
      known.set(word, merged);
      for (const token of merged) tokens.push(token);
    }
  }
  return tokens;
}

interface SpecialTokens {
  /** With a group, so that `split` keeps them. */
  spelled: RegExp;
  tokens: readonly (readonly [text: string, tokens: readonly number[]])[];
}

const startAndEnd = [
  ['<|startoftext|>', [startToken]],
  ['<|endoftext|>', [endToken]],
] as const;

/** What a tokenizer looks for before it normalizes the text, inside of words too. */
const specialTokens: Readonly<Record<Padding, SpecialTokens>> = {
  [endToken]: { spelled: /(<\|startoftext\|>|<\|endoftext\|>)/, tokens: startAndEnd },
  0: { spelled: /(<\|startoftext\|>|<\|endoftext\|>|!)/, tokens: [...startAndEnd, ['!', [0]]] },
};

/**
 * The reference ignores case. After the normalization that concerns two characters: the long s is an s, and the iota below
 * (U+0345) is neither a letter nor, being a small form of one, anything else, so that it falls away.
 */
const words =
  /<\|startoftext\|>|<\|endoftext\|>|'[sſ]|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|(?:(?!\u0345)[^\s\p{L}\p{N}])+/gu;

/** Spells tokens out, as `CLIPTokenizer.decode` does with its clean-up of spaces. */
export function decodeTokens(tokens: readonly number[]): string {
  const { spellings } = clipVocabulary();
  const bytes = tokens.map((token) => spellings[token]).join('');
  return Buffer.from(bytes, 'latin1')
    .toString('utf8')
    .replaceAll('</w>', ' ')
    .trim()
    .replace(/ ([.?!,])/g, '$1')
    .replaceAll(" ' ", "'")
    .replace(/ (n't|'m|'s|'ve|'re)/g, '$1');
}
