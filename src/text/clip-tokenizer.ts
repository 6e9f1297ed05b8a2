import { clipVocabulary, endToken, startToken } from './clip-vocabulary.ts';
import { mergeWord } from './merge-word.ts';

/**
 * CLIP's tokenizer as transformers 4.29.1 runs it where `ftfy` is not installed, which is how rossjillian/controlnet
 * ran: BERT's normalisation, which strips accents and separates every punctuation mark, before the byte pairs.
 * https://github.com/huggingface/transformers/blob/v4.29.1/src/transformers/models/clip/tokenization_clip.py#L101-L475
 *
 * Not here: `ftfy` repairs; the gentler normalisation of later releases; added tokens; pairs of texts.
 */

/** Tokens that the text encoder sees, with those that start and end the text. */
export const windowLength = 77;

export interface TokenizedPrompt {
  /** 77 tokens: start, text, end, and the end token again as padding. */
  ids: number[];
  /** The end of the prompt that did not fit, as the tokens spell it; empty when all of it did. */
  removed: string;
}

export function tokenizePrompt(text: string): TokenizedPrompt {
  const tokens = encode(text);
  const kept = tokens.slice(0, windowLength - 2);
  const padding = new Array<number>(windowLength - 1 - kept.length).fill(endToken);
  return { ids: [startToken, ...kept, ...padding], removed: decode(tokens.slice(kept.length)) };
}

function encode(text: string): number[] {
  const tokens: number[] = [];
  const known = new Map<string, number[]>();
  for (const part of text.split(/(<\|startoftext\|>|<\|endoftext\|>)/)) {
    if (part === '<|startoftext|>') tokens.push(startToken);
    else if (part === '<|endoftext|>') tokens.push(endToken);
    else {
      for (const [word] of normalize(part).matchAll(/\p{L}+|\p{N}|[^\s\p{L}\p{N}]+/gu)) {
        const merged = known.get(word) ?? mergeWord(clipVocabulary(), Buffer.from(word));
        known.set(word, merged);
        for (const token of merged) tokens.push(token);
      }
    }
  }
  return tokens;
}

/** BERT's basic tokenizer: the text that comes out has a blank between any two of its tokens. */
function normalize(text: string): string {
  return text
    .replace(/[\t\n\r\p{Zs}]/gu, ' ')
    .replace(/[\p{C}\ufffd]/gu, '')
    .replace(ideograph, ' $& ')
    .toLowerCase()
    .normalize('NFD')
    .replace(/\p{Mn}/gu, '')
    .replace(punctuation, ' $& ');
}

const ideograph =
  /[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u{20000}-\u{2a6df}\u{2a700}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/gu;

/** Punctuation in Unicode's sense, and every ASCII character that is neither a letter nor a digit. */
const punctuation = /[\p{P}!-/:-@[-`{-~]/gu;

/** Spells tokens out, as `CLIPTokenizer.decode` does with its clean-up of spaces. */
function decode(tokens: number[]): string {
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
