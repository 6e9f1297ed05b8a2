import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

/** The 49,408 tokens that all CLIP text encoders share; data/README.md says where the list comes from. */
export interface ClipVocabulary {
  /** Token of each byte, inside a word; `byteTokens[byte] + 256` ends a word. */
  byteTokens: Uint16Array;
  /** Token that two neighbouring tokens become, keyed by `pairKey`. A lower token was learnt, and merges, earlier. */
  merges: Map<number, number>;
  /** Bytes of each token, with `</w>` at the end of those that end a word. */
  spellings: string[];
}

export const startToken = 49406;
export const endToken = 49407;

export function pairKey(left: number, right: number): number {
  return left * 65_536 + right;
}

let loaded: ClipVocabulary | undefined;

/** Reads the list at first use (0.2 s) and keeps it. */
export function clipVocabulary(): ClipVocabulary {
  loaded ??= readVocabulary();
  return loaded;
}

function readVocabulary(): ClipVocabulary {
  // Spelled from the package's root, so that the compiled file finds the same data.
  const file = new URL('../../src/text/data/bpe_simple_vocab_16e6.txt.gz', import.meta.url);
  const lines = gunzipSync(readFileSync(file)).toString('utf8').split('\n');
  const letters = byteLetters();
  const tokenOf = new Map<string, number>();
  const add = (token: string) => tokenOf.set(token, tokenOf.size);

  // Printable bytes come first in the published numbering, in the order of their letters' code points.
  const ordered = letters.map((letter, byte) => ({ letter, byte })).sort((a, b) => (a.letter < b.letter ? -1 : 1));
  const byteTokens = new Uint16Array(256);
  for (const { letter, byte } of ordered) {
    byteTokens[byte] = tokenOf.size;
    add(letter);
  }
  for (const { letter } of ordered) add(`${letter}</w>`);

  const merges = new Map<number, number>();
  // The first line is a heading; later merges belong to a larger vocabulary that was not used.
  for (const line of lines.slice(1, 1 + startToken - 512)) {
    const [left, right] = line.split(' ') as [string, string];
    merges.set(pairKey(tokenOf.get(left)!, tokenOf.get(right)!), tokenOf.size);
    add(left + right);
  }
  add('<|startoftext|>');
  add('<|endoftext|>');

  const byteOf = new Map(letters.map((letter, byte) => [letter, String.fromCharCode(byte)]));
  const spellings = [...tokenOf.keys()].map((token) => {
    const ends = token.endsWith('</w>');
    const bytes = [...(ends ? token.slice(0, -4) : token)].map((letter) => byteOf.get(letter)).join('');
    return ends ? `${bytes}</w>` : bytes;
  });
  return { byteTokens, merges, spellings };
}

/** The list spells each byte as a visible character: printable Latin-1 as itself, the rest from U+0100 upwards. */
function byteLetters(): string[] {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    return String.fromCharCode(printable ? byte : next++);
  });
}
