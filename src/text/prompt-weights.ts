/**
 * Weights in a prompt as ComfyUI reads them: `(word)` multiplies the weight by 1.1, `(word:1.3)` sets it, brackets nest,
 * `\(` and `\)` are ordinary characters, and so are `[ ]` and `BREAK`. After comfyanonymous/ComfyUI at ae77590b
 * `comfy/sd1_clip.py` (`parse_parentheses`, `token_weights`).
 */
import { InputError } from '../base/errors.ts';

export interface WeightedText {
  text: string;
  weight: number;
}

/** The reference runs out of stack below a thousand. Each level reads the rest of the prompt once more. */
const deepest = 100;

/**
 * @param field the input that holds the prompt, for errors
 * @throws InputError for a weight that is no finite number, and for brackets too deep
 */
export function parseWeights(prompt: string, field: string): WeightedText[] {
  const escaped = prompt.replaceAll('\\)', '\0\x01').replaceAll('\\(', '\0\x02');
  return weightsIn(escaped, 1, 0, field).map(({ text, weight }) => ({
    text: text.replaceAll('\0\x01', ')').replaceAll('\0\x02', '('),
    weight,
  }));
}

function weightsIn(text: string, weight: number, depth: number, field: string): WeightedText[] {
  if (depth > deepest) throw new InputError(`${field} has brackets more than ${deepest} deep; use fewer.`, field);
  return bracketed(text).flatMap((part) => {
    if (part.length < 2 || !part.startsWith('(') || !part.endsWith(')')) return [{ text: part, weight }];
    const inner = part.slice(1, -1);
    const colon = inner.lastIndexOf(':');
    const given = colon > 0 ? pythonNumber(inner.slice(colon + 1)) : undefined;
    if (given === undefined) return weightsIn(inner, weight * 1.1, depth + 1, field);
    // States are weighted in float32.
    if (!Number.isFinite(Math.fround(given))) {
      throw new InputError(`${field} has the weight "${inner.slice(colon + 1)}"; write a number, such as 1.2.`, field);
    }
    return weightsIn(inner.slice(0, colon), given, depth + 1, field);
  });
}

/**
 * Splits before every outermost opening bracket and after the one that closes it. Brackets without a partner are kept as
 * they are; after closing ones too many, as in the reference, just as many opening ones have no meaning.
 */
function bracketed(text: string): string[] {
  const parts: string[] = [];
  let start = 0;
  let depth = 0;
  const cut = (end: number): void => {
    if (end > start) parts.push(text.slice(start, end));
    start = end;
  };
  for (let index = 0; index < text.length; index++) {
    if (text[index] === '(') {
      if (depth === 0) cut(index);
      depth++;
    } else if (text[index] === ')') {
      depth--;
      if (depth === 0) cut(index + 1);
    }
  }
  cut(text.length);
  return parts;
}

/** What Python's `float` makes of a text; `undefined` where it refuses. */
function pythonNumber(text: string): number | undefined {
  const trimmed = text.replace(outerBlanks, '').replace(/\p{Nd}/gu, asciiDigit);
  if (/^[+-]?(inf|infinity)$/i.test(trimmed)) return trimmed.startsWith('-') ? -Infinity : Infinity;
  if (/^[+-]?nan$/i.test(trimmed)) return Number.NaN;
  const digits = '\\d+(?:_\\d+)*';
  const number = new RegExp(`^[+-]?(?:${digits}\\.?(?:${digits})?|\\.${digits})(?:e[+-]?${digits})?$`, 'i');
  return number.test(trimmed) ? Number(trimmed.replaceAll('_', '')) : undefined;
}

const blank = '[\\t-\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]';
const outerBlanks = new RegExp(`^${blank}+|${blank}+$`, 'g');

/** Of whatever script: Unicode has them ten by ten in their order. */
function asciiDigit(digit: string): string {
  const code = digit.codePointAt(0)!;
  let first = code;
  while (/\p{Nd}/u.test(String.fromCodePoint(first - 1))) first--;
  return String((code - first) % 10);
}
