import { randomBytes } from 'node:crypto';

/** Crockford's base 32 in lower case: no i, l, o, u. */
const digits = '0123456789abcdefghjkmnpqrstvwxyz';

/** 26 characters of [0-9a-z] after the ULID specification: 48 bits of milliseconds, then 80 random bits. */
export function newPredictionId(now = Date.now()): string {
  return encode((BigInt(now) << 80n) | BigInt(`0x${randomBytes(10).toString('hex')}`));
}

/** The smallest id of that millisecond. */
export function firstIdOf(milliseconds: number): string {
  return encode(BigInt(milliseconds) << 80n);
}

function encode(number: bigint): string {
  let rest = number;
  let id = '';
  for (let place = 0; place < 26; place++) {
    id = digits[Number(rest & 31n)] + id;
    rest >>= 5n;
  }
  return id;
}
