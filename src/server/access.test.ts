import { expect, test } from 'vitest';
import { SettingsError } from '../base/errors.ts';
import { accessFault, checkListenAddress } from './access.ts';

const open = { apiTokens: [], host: '127.0.0.1', publicUrl: undefined };
const guarded = { ...open, apiTokens: ['r8_one'], host: '0.0.0.0' };

test('without a token only loopback addresses are listened on', () => {
  for (const host of ['127.0.0.1', '127.9.9.9', 'localhost', '::1']) checkListenAddress({ ...open, host });
  for (const host of ['0.0.0.0', '::', '192.168.1.5', 'box.example', '']) {
    expect(() => checkListenAddress({ ...open, host })).toThrow(SettingsError);
    checkListenAddress({ ...guarded, host });
  }
});

test.each(['127.0.0.1:5000', 'localhost', 'LOCALHOST:80', 'app.localhost:5000', '[::1]:5000', '127.0.0.2'])(
  'without a token the Host %s is answered',
  (host) => {
    expect(accessFault(open, 'POST', { host })).toBeUndefined();
  },
);

test.each([
  'evil.example',
  'evil.example:5000',
  '127.0.0.1.evil.example',
  'localhost.evil.example',
  '10.0.0.1',
  '[::2]:5000',
])('without a token the Host %s is refused: a name may have been rebound to this machine', (host) => {
  expect(accessFault(open, 'GET', { host })?.status).toBe(403);
  expect(accessFault(guarded, 'GET', { host })).toBeUndefined();
});

test('the public origin is an own name', () => {
  const settings = { ...open, publicUrl: 'https://box.example' };
  expect(accessFault(settings, 'POST', { host: 'box.example', origin: 'https://box.example' })).toBeUndefined();
  expect(accessFault(settings, 'POST', { host: 'box.example:81' })?.status).toBe(403);
});

test('without a token a web page of another site changes nothing', () => {
  const host = 'localhost:5000';
  for (const origin of ['https://evil.example', 'null', 'http://localhost.evil.example', 'file://']) {
    expect(accessFault(open, 'POST', { host, origin })?.status).toBe(403);
    expect(accessFault(open, 'GET', { host, origin })).toBeUndefined();
    expect(accessFault(guarded, 'POST', { host, origin })).toBeUndefined();
  }
  expect(accessFault(open, 'POST', { host, origin: 'http://localhost:3000' })).toBeUndefined();
});

test.each(['', 'a b', 'a/b', 'user@host', 'a"b', '[::1', 'host:port', '<script>', 'a\\b', 'é.example'])(
  'the Host %j is none',
  (host) => {
    expect(accessFault(guarded, 'GET', { host })?.status).toBe(400);
  },
);
