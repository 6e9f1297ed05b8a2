import { expect, test } from 'vitest';
import { hostFault, openServerFault } from './access.ts';

const open = { publicUrl: undefined, corsOrigins: ['*', 'https://app.example'] };

test.each(['127.0.0.1:5000', 'localhost', 'LOCALHOST:80', 'app.localhost:5000', '[::1]:5000', '127.0.0.2'])(
  'without a token the Host %s is answered',
  (host) => {
    expect(openServerFault(open, 'POST', { host })).toBeUndefined();
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
  expect(openServerFault(open, 'GET', { host })?.status).toBe(403);
  expect(hostFault({ host })).toBeUndefined();
});

test('the public origin is an own name', () => {
  const settings = { ...open, publicUrl: 'https://box.example' };
  expect(openServerFault(settings, 'POST', { host: 'box.example', origin: 'https://box.example' })).toBeUndefined();
  expect(openServerFault(settings, 'POST', { host: 'box.example:81' })?.status).toBe(403);
});

test('without a token a web page of another site changes nothing', () => {
  const host = 'localhost:5000';
  for (const origin of ['https://evil.example', 'null', 'http://localhost.evil.example', 'file://']) {
    expect(openServerFault(open, 'POST', { host, origin })?.status).toBe(403);
    expect(openServerFault(open, 'GET', { host, origin })).toBeUndefined();
  }
  for (const origin of ['http://localhost:3000', 'https://app.example']) {
    expect(openServerFault(open, 'POST', { host, origin })).toBeUndefined();
  }
});

test.each(['', 'a b', 'a/b', 'user@host', 'a"b', '[::1', 'host:port', '<script>', 'a\\b', 'é.example'])(
  'the Host %j is none',
  (host) => {
    expect(hostFault({ host })?.status).toBe(400);
  },
);
