import { expect, test } from 'vitest';
import { isSignatureOf } from './download-signature.ts';
import { downloadUrl, parseUploadUrl, uploadUrl } from './upload-url.ts';

const id = '0123456789abcdef0123456789abcdef';

test.each([
  uploadUrl(id, 'http://127.0.0.1:5000'),
  `https://darkroom.example/files/${id}`,
  `http://container/v1/v1/files/${id}/`,
  `http://[::1]:80/v1//files/${id}?x=1#y`,
])('%s is an address of ours', (url) => {
  expect(parseUploadUrl(url)).toEqual({ id });
});

test.each([
  `http://x/files/${id.slice(1)}`,
  `http://x/files/${id.toUpperCase()}`,
  `http://x/files/${id}/other`,
  `http://x/a/files/${id}`,
  `ftp://x/files/${id}`,
  `http://x/files/../files/${id}/..`,
  'http://x:99999/files/',
  `data:,/files/${id}`,
  `/files/${id}`,
])('%s is none', (url) => {
  expect(parseUploadUrl(url)).toBeUndefined();
});

test('the address of a download holds its signature', () => {
  const url = downloadUrl(id, 'https://darkroom.example', 'acme', new Date(1_767_312_000_999), 'secret');
  const { signed } = parseUploadUrl(url)!;
  expect(signed!.download).toEqual({ owner: 'acme', id, expiry: '1767312000' });
  expect(isSignatureOf(signed!.signature, 'secret', signed!.download)).toBe(true);
});
