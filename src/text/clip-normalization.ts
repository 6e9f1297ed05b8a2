/**
 * What CLIP's tokenizer in transformers does to a text before the byte pairs: where `ftfy` is not installed BERT's basic
 * tokenizer, in two versions. In the text that comes out a blank stands between any two of its words.
 */
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

/**
 * Where `ftfy` is installed: what people did not mean to type is put right, and words stay together.
 * https://github.com/rspeer/python-ftfy/blob/v6.2.0/ftfy/fixes.py
 *
 * Not here: texts whose encoding is broken, and HTML's names of characters (`&eacute;`).
 */
export const withFtfy: Normalization = (text) =>
  text
    .replace(/[\x80-\x9f]/g, (control) => windows1252[control.charCodeAt(0) - 0x80]!)
    .replace(ligatureOrWidth, (letter) => letter.normalize('NFKC'))
    .replace(/\ufb05/g, 'ſt')
    .replace(/[\u201c-\u201f]/g, '"')
    .replace(/[\u02bc\u2018-\u201b]/g, "'")
    .replace(/[\u2028\u2029]/g, '\n')
    .replace(terminalEscape, '')
    .replace(unmeant, '')
    .normalize('NFC')
    .replace(/\s+/g, ' ')
    .trim()
    .toLowerCase();

/** What these control characters were on Windows; five of them were nothing. */
const windows1252 = '€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ';
/** Latin letters that are two in one, and letters that are wide or narrow for the sake of East Asian lines. */
const ligatureOrWidth = /[\u0132\u0133\u0149\u01c4-\u01cc\u01f1-\u01f3\ufb00-\ufb04\ufb06\u3000\uff01-\uffee]/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const terminalEscape = /\x1b\[[\d;]*[a-zA-Z]/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const unmeant = /[\0-\x08\x0b\x0e-\x1f\x7f\u206a-\u206f\ufeff\ufff9-\ufffc]/g;

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
