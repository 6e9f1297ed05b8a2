/** Every byte against ml_dtypes: test/fixtures/float8/. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type Float8, float8sToFloats } from './float8.ts';

const file = new URL('../../test/fixtures/float8/tables.json', import.meta.url);
/** Bits of a float32 in hexadecimal; `null` for what is no number. */
const tables = JSON.parse(readFileSync(file, 'utf8')) as Record<Float8, (string | null)[]>;

test.each(Object.entries(tables) as [Float8, (string | null)[]][])(
  '%s: each of the 256 bytes, bit by bit',
  (type, expected) => {
    const floats = float8sToFloats(
      Uint8Array.from({ length: 256 }, (_, byte) => byte),
      type,
    );
    const words = new Uint32Array(floats.buffer);
    const bits = Array.from(floats, (value, index) =>
      Number.isNaN(value) ? null : words[index]!.toString(16).padStart(8, '0'),
    );
    expect(bits).toEqual(expected);
  },
);
