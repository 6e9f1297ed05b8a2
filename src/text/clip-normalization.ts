/**
 * What CLIP's tokenizer in transformers does to a text before the byte pairs: where `ftfy` is not installed BERT's basic
 * tokenizer, in two versions. In the text that comes out a blank stands between any two of its words.
 */
import { fixText } from './ftfy.ts';

export type Normalization = (text: string) => string;

/**
 * Up to transformers 4.30: accents are dropped, and every punctuation mark stands alone.
 * https://github.com/huggingface/transformers/blob/v4.29.1/src/transformers/models/clip/tokenization_clip.py#L101-L240
 */
export const withoutAccents: Normalization = (text) =>
  cleaned(text)
    .toLowerCase()
    .normalize('NFD')
    .replace(/\p{Mn}/gu, '')
    .replace(punctuation, ' $& ');

/**
 * Since transformers 4.31: accents stay, in their composed form, and punctuation stays with its neighbours.
 * https://github.com/huggingface/transformers/blob/v4.36.2/src/transformers/models/clip/tokenization_clip.py#L93-L250
 */
export const withAccents: Normalization = (text) => cleaned(text).normalize('NFC').toLowerCase();

/** Where `ftfy` is installed: what people did not mean to type is put right, and words stay together. */
export const withFtfy: Normalization = (text) => fixText(text).replace(/\s+/g, ' ').trim().toLowerCase();

/** Blanks for all white space, none of the control characters, and every ideograph a word. */
function cleaned(text: string): string {
  return text
    .replace(/[\t\n\r\p{Zs}]/gu, ' ')
    .replace(/[\p{C}\ufffd]/gu, '')
    .replace(ideograph, ' $& ');
}

const ideograph =
  /[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u{20000}-\u{2a6df}\u{2a700}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/gu;

/** Punctuation in Unicode's sense, and every ASCII character that is neither a letter nor a digit. */
const punctuation = /[\p{P}!-/:-@[-`{-~]/gu;
