import { expect, test } from 'vitest';
import { createAuthentication, localAccount } from './auth.ts';

const authenticate = createAuthentication(['r8_one', 'r8_two']);

test('both schemes name the same account, in any case; another token is another account', () => {
  const account = authenticate('Bearer r8_one');
  expect(account).toMatch(/^[0-9a-f]{32}$/);
  for (const header of ['Token r8_one', 'bearer r8_one', 'TOKEN  r8_one ']) expect(authenticate(header)).toBe(account);
  expect(authenticate('Bearer r8_two')).toMatch(/^[0-9a-f]{32}$/);
  expect(authenticate('Bearer r8_two')).not.toBe(account);
});

test('an account is the same after a restart and with other tokens around it', () => {
  expect(createAuthentication(['r8_three', 'r8_one'])('Bearer r8_one')).toBe(authenticate('Bearer r8_one'));
});

test.each([
  undefined,
  '',
  'r8_one',
  'Bearer',
  'Bearer ',
  'Bearer r8_on',
  'Bearer r8_onee',
  'Basic r8_one',
  'Bearer r8_one r8_two',
  'Bearer R8_ONE',
])('%s does not pass', (header) => {
  expect(authenticate(header)).toBeUndefined();
});

test('without configured tokens everybody is local, whatever the header holds', () => {
  for (const header of [undefined, '', 'Bearer x', 'nonsense']) {
    expect(createAuthentication([])(header)).toBe(localAccount);
  }
});
