import { expect, test } from 'vitest';
import { bytes, concat, float, integer, message, text } from './proto.ts';

// The first three are the examples of protobuf.dev/programming-guides/encoding.
test.each([
  ['a varint of two bytes', integer(1, 150), '089601'],
  ['a text', text(2, 'testing'), '120774657374696e67'],
  ['a message in a message', message(3, [integer(1, 150)]), '1a03089601'],
  ['minus one takes ten bytes', integer(1, -1), '08ffffffffffffffffff01'],
  ['a count above 2^32', integer(1, 2 ** 40), '08808080808020'],
  ['a field number above 15', integer(20, 2), 'a00102'],
  ['a float', float(2, 1.5), '150000c03f'],
  ['no bytes', bytes(9, new Uint8Array()), '4a00'],
  ['nothing', concat([]), ''],
])('%s', (_, encoded, hex) => expect(Buffer.from(encoded).toString('hex')).toBe(hex));
