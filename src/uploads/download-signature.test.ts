import { expect, test } from 'vitest';
import { isSignatureOf, signDownload } from './download-signature.ts';

const secret = 'files-secret-for-golden-vector';
const download = { owner: 'acme', id: 'f1le0000000000000000000000', expiry: '1767312000' };
const signature = '9LfuSpGs9fneCkDQCm2EFruxCw36cJ/SS8STgBb7Yh8=';

test('the signature of the public scheme', () => {
  expect(signDownload(secret, download)).toBe(signature);
});

test('a signature fits what was signed and nothing else, with every spelling of base64', () => {
  const withPlus = { ...download, expiry: '1767312003' };
  const signed = signDownload(secret, withPlus);
  expect(signed).toContain('+');
  for (const spelled of [signed, signed.replaceAll('+', ' '), signed.replaceAll('+', '-'), signed.slice(0, -1)]) {
    expect(isSignatureOf(spelled, secret, withPlus)).toBe(true);
  }
  expect(isSignatureOf(signature, 'other', download)).toBe(false);
  expect(isSignatureOf(signature, secret, { ...download, owner: 'acme2' })).toBe(false);
  expect(isSignatureOf(signature, secret, { ...download, id: 'f2le0000000000000000000000' })).toBe(false);
  expect(isSignatureOf(signature, secret, { ...download, expiry: '1767312001' })).toBe(false);
  for (const wrong of ['', signature.slice(1), `${signature}=`, 'é'.repeat(43), 'A'.repeat(43)]) {
    expect(isSignatureOf(wrong, secret, download)).toBe(false);
  }
});
