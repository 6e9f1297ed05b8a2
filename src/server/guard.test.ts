import { expect, test } from 'vitest';
import { addressGroup, tokenOf } from './guard.ts';

test.each(['Bearer r8_one', 'Token r8_one', 'bearer r8_one', 'TOKEN  r8_one '])('%j holds the token', (header) => {
  expect(tokenOf(header)).toBe('r8_one');
});

test.each([undefined, '', 'r8_one', 'Bearer', 'Bearer ', 'Basic r8_one', 'Bearer r8_one r8_two'])(
  '%j holds none',
  (header) => {
    expect(tokenOf(header)).toBeUndefined();
  },
);

test('addresses of one IPv6 network are one caller, IPv4 addresses are not', () => {
  expect(addressGroup('2001:db8:1:2:3::4')).toBe(addressGroup('2001:0db8:1:2:ffff::'));
  expect(addressGroup('2001:db8:1:2::1')).not.toBe(addressGroup('2001:db8:1:3::1'));
  expect(addressGroup('::ffff:192.0.2.1')).toBe(addressGroup('192.0.2.1'));
  expect(addressGroup('192.0.2.1')).not.toBe(addressGroup('192.0.2.2'));
});
