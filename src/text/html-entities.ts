/**
 * HTML's names and numbers of characters, where a semicolon ends them: `&eacute;`, `&#233;`, `&#xe9;`. Names are HTML's
 * (data/README.md) and those written in capitals, such as `&EACUTE;` for É. After `unescape_html` of
 * https://github.com/rspeer/python-ftfy/blob/v6.2.0/ftfy/fixes.py#L67-L133, and for numbers `html.unescape` of Python.
 */
import { readFileSync } from 'node:fs';
import { windowsControls } from './code-pages.ts';

export function unescapeHtml(text: string): string {
  return text.replace(/&#?[0-9A-Za-z]{1,24};/g, (reference) => {
    const number = /^&#(?:x(?<hexadecimal>[0-9a-f]+)|(?<decimal>[0-9]+));$/i.exec(reference)?.groups;
    if (!number) return namedCharacters().get(reference.slice(1, -1)) ?? reference;
    const { hexadecimal, decimal } = number as { hexadecimal?: string; decimal: string };
    const character = numberedCharacter(hexadecimal ? Number.parseInt(hexadecimal, 16) : Number.parseInt(decimal, 10));
    // The reference takes a semicolon for the rest of a number that was read only in part.
    return character === ';' ? reference : character;
  });
}

function numberedCharacter(code: number): string {
  if (code >= 0x80 && code < 0xa0) return windowsControls[code - 0x80]!;
  if (code === 0 || (code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff) return '\ufffd';
  const character = String.fromCodePoint(code);
  return /[\t\n\f\r]/.test(character) || !/[\p{Cc}\p{Noncharacter_Code_Point}]/u.test(character) ? character : '';
}

let loaded: ReadonlyMap<string, string> | undefined;

/** Reads the list at first use and keeps it. */
function namedCharacters(): ReadonlyMap<string, string> {
  loaded ??= readNames();
  return loaded;
}

function readNames(): ReadonlyMap<string, string> {
  // Spelled from the package's root, so that the compiled file finds the same data.
  const list = readFileSync(new URL('../../src/text/data/html-entities.txt', import.meta.url), 'utf8');
  const names = new Map(
    list.split(/\s+/).flatMap((entry) => {
      const [name, codes] = entry.split('=') as [string, string?];
      if (codes === undefined) return [];
      return [[name, String.fromCodePoint(...codes.split('+').map((code) => Number.parseInt(code, 16)))] as const];
    }),
  );
  const capitals = [...names]
    .filter(([name]) => name === name.toLowerCase())
    .map(([name, character]) => [name.toUpperCase(), character.toUpperCase()] as const)
    // Nor what begins with a name that needs no semicolon: `&LTIMES;` could be `&LT` and "IMES;".
    .filter(([name]) => !names.has(name) && !/^(AMP|COPY|ETH|GT|LT|QUOT|REG|THORN)/.test(name));
  return new Map([...names, ...capitals]);
}
