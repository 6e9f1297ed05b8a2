import { expect, test } from 'vitest';
import { sizeText } from './size-text.ts';

test.each([
  [3_438_167_540, '3.4 GB'],
  [29_444_406, '29 MB'],
  [6_341_481, '6.3 MB'],
  [743, '0.7 kB'],
])('%i bytes are %s', (bytes, text) => expect(sizeText(bytes)).toBe(text));
