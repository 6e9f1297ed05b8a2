import { InputError } from '../base/errors.ts';

/** Whether the text is a data URL, right or wrong. */
export function isDataUrl(value: string): boolean {
  return /^data:/i.test(value.slice(0, 5));
}

/**
 * The bytes of a `data:` URL (RFC 2397), leniently: the media type may be wrong or missing and is not looked at, base64
 * may be of either alphabet, unpadded, percent-encoded or broken into lines.
 *
 * @throws InputError that says what is wrong with it
 */
export function parseDataUrl(url: string): Buffer {
  const comma = url.indexOf(',');
  if (!isDataUrl(url) || comma < 0) {
    throw new InputError('the data URL has no comma; write data:image/png;base64, followed by the base64 text.');
  }
  const payload = url.slice(comma + 1);
  const bytes = isBase64(url.slice(0, comma)) ? decodeBase64(payload) : decodePercent(payload);
  if (bytes.length === 0) throw new InputError('the data URL holds no bytes.');
  return bytes;
}

function isBase64(header: string): boolean {
  return header.split(';').slice(1).at(-1)?.trim().toLowerCase() === 'base64';
}

function decodeBase64(payload: string): Buffer {
  const text = withoutPadding(
    (payload.includes('%') ? decodePercent(payload).toString('latin1') : payload).replace(/\s+/g, ''),
  );
  // Buffer.from ignores what it does not know; a damaged picture must not pass for a whole one.
  const wrong = /[^A-Za-z0-9+/_-]/.exec(text);
  if (wrong)
    throw new InputError(`the data URL is not base64: character ${wrong.index + 1} is ${JSON.stringify(wrong[0])}.`);
  if (text.length % 4 === 1) throw new InputError('the data URL is not base64: its last character is missing.');
  return Buffer.from(text, 'base64');
}

/** By hand: a pattern such as /=+$/ takes quadratic time on a long run of = that does not end the text. */
function withoutPadding(text: string): string {
  let end = text.length;
  while (text[end - 1] === '=') end--;
  return text.slice(0, end);
}

/** Percent-encoding over bytes: `decodeURIComponent` would refuse what is not UTF-8. */
function decodePercent(payload: string): Buffer {
  const source = Buffer.from(payload, 'utf8');
  const target = Buffer.allocUnsafe(source.length);
  let length = 0;
  for (let at = 0; at < source.length; at++) {
    let byte = source[at]!;
    if (byte === percent) {
      const digits = source.toString('latin1', at + 1, at + 3);
      if (!/^[0-9A-Fa-f]{2}$/.test(digits)) {
        throw new InputError('the data URL has a % that is not followed by two hex digits.');
      }
      byte = Number.parseInt(digits, 16);
      at += 2;
    }
    target[length++] = byte;
  }
  return target.subarray(0, length);
}

const percent = 0x25;
