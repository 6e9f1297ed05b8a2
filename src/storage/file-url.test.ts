import { expect, test } from 'vitest';
import { parseFileUrl } from './file-url.ts';

const key = 'AbCdEfGhIjKlMnOpQrStUvWxYz012345';

test.each([
  [`http://127.0.0.1:5000/f/${key}/out-0.png`, { key, name: 'out-0.png' }],
  [`https://container/v1/f/${key}/out%200.png?x=1#y`, { key, name: 'out 0.png' }],
  [`http://x/v1/v1/f/${key}/a`, { key, name: 'a' }],
])('%s is a file of ours', (url, ref) => {
  expect(parseFileUrl(url)).toEqual(ref);
});

test.each([
  `http://x/g/${key}/a`,
  `http://x/f/${key}`,
  `http://x/f/${key}/a/b`,
  `http://x/f/${key}/%zz`,
  'http://x/f/../etc/passwd',
  'data:,x',
  'f',
])('%s is none', (url) => {
  expect(parseFileUrl(url)).toBeUndefined();
});
