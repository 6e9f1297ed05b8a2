/**
 * What people did not mean to type, put right as by ftfy 6.2.0: `fix_text` of
 * https://github.com/rspeer/python-ftfy/blob/v6.2.0/ftfy/__init__.py#L292-L424 and fixes.py there (Apache 2.0,
 * copyright 2023 Robyn Speer), with the settings that it has of itself.
 *
 * Not here: lines, each of which it treats as a text; parts of a million characters; more than a hundred rounds.
 */
import { unescapeHtml } from './html-entities.ts';
import { repairEncoding, untilNothingChanges, withoutControls } from './mojibake.ts';

/** @param text one line */
export function fixText(text: string): string {
  // Where there are tags, the names of characters are meant as such.
  const named = text.includes('<') ? (part: string): string => part : unescapeHtml;
  return untilNothingChanges(text, (part) => tidied(repairEncoding(named(part))));
}

function tidied(text: string): string {
  return withoutControls(text)
    .replace(ligatureOrWidth, (letter) => letter.normalize('NFKC'))
    .replace(/\ufb05/g, 'ſt')
    .replace(/[\u201c-\u201f]/g, '"')
    .replace(/[\u02bc\u2018-\u201b]/g, "'")
    .replace(/\r\n?|[\u2028\u2029]/g, '\n')
    .replace(/\p{Cs}/gu, '\ufffd')
    .replace(terminalEscape, '')
    .replace(unmeant, '')
    .normalize('NFC');
}

/** Latin letters that are two in one, and letters that are wide or narrow for the sake of East Asian lines. */
const ligatureOrWidth = /[\u0132\u0133\u0149\u01c4-\u01cc\u01f1-\u01f3\ufb00-\ufb04\ufb06\u3000\uff01-\uffef]/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const terminalEscape = /\x1b\[[\p{Nd};]*[a-zA-Z]/gu;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const unmeant = /[\0-\x08\x0b\x0e-\x1f\x7f\u206a-\u206f\ufeff\ufff9-\ufffc]/g;
