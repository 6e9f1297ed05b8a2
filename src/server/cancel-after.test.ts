import { expect, it } from 'vitest';
import { parseCancelAfter } from './cancel-after.ts';

it.each([
  ['90', 90],
  ['5', 5],
  ['5s', 5],
  ['90s', 90],
  ['15m', 900],
  ['1h30m45s', 5445],
  ['1h45s', 3645],
  ['24h', 86_400],
  ['86400', 86_400],
  ['23h59m60s', 86_400],
  ['1H', 3600],
  [' 10s ', 10],
  ['000000090s', 90],
])('%j is %i seconds', (header, seconds) => {
  expect(parseCancelAfter(header)).toBe(seconds);
});

it('is nothing where it was not sent', () => {
  expect(parseCancelAfter(undefined)).toBeUndefined();
});

it.each(['4', '3s', '0', '24h1s', '86401', '999999999h', '999999999'])('%j is out of range', (header) => {
  expect(() => parseCancelAfter(header)).toThrow('Cancel-After must be between 5s and 24h.');
});

it.each([
  ...[
    '',
    ' ',
    'soon',
    '1.5s',
    '-90',
    '+90',
    '1e3',
    '90 s',
    '30m1h',
    '10s10s',
    '1d',
    '500ms',
    'h',
    '0x10',
    '9999999999s',
  ],
  '90s, 90s',
  'Sat, 21 Nov 2026 03:00:00 GMT',
])('%j is no duration', (header) => {
  expect(() => parseCancelAfter(header)).toThrow(/must be whole seconds, or a duration/);
});
