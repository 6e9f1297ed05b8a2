import { createHmac, timingSafeEqual } from 'node:crypto';

/** What a signed download names: `owner` is a username, `expiry` are Unix seconds in decimal digits. */
export interface Download {
  owner: string;
  id: string;
  expiry: string;
}

/** @param secret the files secret of the owner's account */
export function signDownload(secret: string, { owner, id, expiry }: Download): string {
  return createHmac('sha256', secret).update(`${owner} ${id} ${expiry}`).digest('base64');
}

/** In a query string a + that was not escaped arrives as a space; both are taken, and both alphabets. */
export function isSignatureOf(signature: string, secret: string, download: Download): boolean {
  if (!/^[A-Za-z0-9+/_ -]{43}=?$/.test(signature)) return false;
  const given = Buffer.from(signature.replaceAll(' ', '+'), 'base64');
  return timingSafeEqual(given, Buffer.from(signDownload(secret, download), 'base64'));
}
