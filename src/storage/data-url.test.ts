import { expect, test } from 'vitest';
import { processorTime } from '../../test/support/processor-time.ts';
import { InputError } from '../base/errors.ts';
import { parseDataUrl } from './data-url.ts';

/** Bytes whose base64 holds both characters in which the alphabets differ, and needs padding. */
const bytes = Buffer.from([0xfb, 0xff, 0xfe, 0x00, 0x25, 0x2c, 0x80]);

test.each([
  ['standard base64', `data:image/png;base64,${bytes.toString('base64')}`],
  ['unpadded', `data:image/png;base64,${bytes.toString('base64').replaceAll('=', '')}`],
  ['URL-safe', `data:image/png;base64,${bytes.toString('base64url')}`],
  ['percent-encoded base64', `data:image/png;base64,${encodeURIComponent(bytes.toString('base64'))}`],
  ['lines', `data:image/png;base64,${bytes.toString('base64').replace(/(.{4})/g, '$1\r\n')}`],
  ['no media type', `data:;base64,${bytes.toString('base64')}`],
  ['wrong media type, parameters', `data:text/html;charset=utf-8;base64,${bytes.toString('base64')}`],
  ['capitals', `DATA:image/PNG;BASE64,${bytes.toString('base64')}`],
  ['percent-encoded bytes', 'data:image/png,%fb%FF%fe%00%25%2c%80'],
])('%s', (_, url) => {
  expect(parseDataUrl(url)).toEqual(bytes);
});

test('plain text keeps its UTF-8 and its commas', () => {
  expect(parseDataUrl('data:,a,bé%20c').toString()).toBe('a,bé c');
});

test.each([
  ['data:image/png;base64', /no comma/],
  ['data:image/png;base64,', /no bytes/],
  ['data:image/png;base64,====', /no bytes/],
  ['data:image/png;base64,AA*A', /character 3 is "\*"/],
  ['data:image/png;base64,AAAAA', /last character is missing/],
  ['data:image/png;base64,AA=A', /character 3 is "="/],
  ['data:image/png,%4', /% that is not followed/],
  ['data:image/png,%zz', /% that is not followed/],
  ['data:,', /no bytes/],
])('%s is refused', (url, message) => {
  expect(() => parseDataUrl(url)).toThrow(InputError);
  expect(() => parseDataUrl(url)).toThrow(message);
});

test.each(['=', ' ', '%3D', '\n='])('hostile texts take linear time: %j', async (unit) => {
  const url = `data:;base64,${unit.repeat(3e6)}!`;
  expect(await processorTime(() => expect(() => parseDataUrl(url)).toThrow(InputError))).toBeLessThan(2_500);
});
