/**
 * Texts whose UTF-8 was read in another encoding, once or several times, put right: `cafÃ©` becomes "café". After
 * `fix_encoding` of https://github.com/rspeer/python-ftfy/blob/v6.2.0/ftfy/__init__.py#L426-L586 and fixes.py there
 * (Apache 2.0, copyright 2023 Robyn Speer), with the settings that it has of itself.
 */
import { type CodePage, codePages, windowsControls, writeIn } from './code-pages.ts';
import { bytesInText, isMisread } from './mojibake-signs.ts';

export function repairEncoding(text: string): string {
  return untilNothingChanges(text, repairOnce);
}

/** The reference has no limit. A text can be made so that each round changes a few of its characters. */
const mostRounds = 100;

export function untilNothingChanges(text: string, change: (text: string) => string): string {
  let changed = text;
  for (let round = 0; round < mostRounds; round++) {
    const before = changed;
    changed = change(before);
    if (changed === before) break;
  }
  return changed;
}

/** Control characters above ASCII are those of Windows. */
export function withoutControls(text: string): string {
  return text.replace(/[\x80-\x9f]/g, (control) => windowsControls[control.charCodeAt(0) - 0x80]!);
}

function repairOnce(text: string): string {
  if (!isMisread(text)) return text;
  for (const page of codePages) {
    const bytes = writeIn(page, text);
    const read = bytes === undefined ? undefined : readUtf8(restored(bytes, page));
    if (read !== undefined) return read;
  }
  const inParts = text.replace(bytesInText, (part) => (part.length < text.length ? repairEncoding(part) : part));
  return inParts === text ? withoutControls(text) : inParts;
}

/** Bytes that were lost on the way and can be told from their neighbours. */
function restored(bytes: string, { name, hasLost }: CodePage): string {
  // A blank of fixed width that became a plain one. In MacRoman it would be found after dashes.
  const withBlanks = name === 'macroman' || !brokenByBlank.test(bytes) ? bytes : restoreBlanks(bytes);
  return hasLost ? withBlanks.replace(brokenByLoss, '\xef\xbf\xbd') : withBlanks;
}

const brokenByBlank = new RegExp(
  [
    '[\xc2\xc3\xc5\xce\xd0\xd9][ ]',
    '[\xe2\xe3][ ][\x80-\x84\x86-\x9f\xa1-\xbf]',
    '[\xe0-\xe3][\x80-\x84\x86-\x9f\xa1-\xbf][ ]',
    '\xf0[ ][\x80-\xbf][\x80-\xbf]',
    '\xf0[\x80-\xbf][ ][\x80-\xbf]',
    '\xf0[\x80-\xbf][\x80-\xbf][ ]',
  ].join('|'),
);

function restoreBlanks(bytes: string): string {
  // "à" is a word of its own, but for the beginnings of a few Portuguese ones.
  const words = bytes.replace(/\xc3 (?! |quele|quela|quilo|s )/g, '\xc3\xa0 ');
  return words.replace(new RegExp(brokenByBlank, 'g'), (sequence) => sequence.replaceAll(' ', '\xa0'));
}

/** With `?` or byte 0x1a in place of one. */
const brokenByLoss = new RegExp(
  [
    '[\xc2-\xdf]\x1a',
    '[\xc2-\xc3][?]',
    '\xed[\xa0-\xaf][\x1a?]\xed[\xb0-\xbf][\x1a?\x80-\xbf]',
    '\xed[\xa0-\xaf][\x1a?\x80-\xbf]\xed[\xb0-\xbf][\x1a?]',
    '[\xe0-\xef][\x1a?][\x1a\x80-\xbf]',
    '[\xe0-\xef][\x1a\x80-\xbf][\x1a?]',
    '[\xf0-\xf4][\x1a?][\x1a\x80-\xbf][\x1a\x80-\xbf]',
    '[\xf0-\xf4][\x1a\x80-\xbf][\x1a?][\x1a\x80-\xbf]',
    '[\xf0-\xf4][\x1a\x80-\xbf][\x1a\x80-\xbf][\x1a?]',
    '\x1a',
  ].join('|'),
  'g',
);

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** @returns the text, or `undefined` where the bytes are no UTF-8 nor one of its two common mistakes */
function readUtf8(bytes: string): string | undefined {
  const written = bytes
    .replaceAll('\xc0\x80', '\0')
    .replace(/\xed([\xa0-\xaf][\x80-\xbf])\xed([\xb0-\xbf][\x80-\xbf])/g, (_, high: string, low: string) =>
      Buffer.from(String.fromCodePoint(0x10000 + (tenBits(high) << 10) + tenBits(low))).toString('latin1'),
    );
  try {
    return utf8.decode(Buffer.from(written, 'latin1'));
  } catch {
    return undefined;
  }
}

/** Of the last two bytes of half a surrogate pair. */
function tenBits(bytes: string): number {
  return ((bytes.charCodeAt(0) & 0x0f) << 6) + (bytes.charCodeAt(1) & 0x3f);
}
