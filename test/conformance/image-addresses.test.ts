/** Addresses of pictures that cannot or must not be read. Numbers are those of docs/api.md. */
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { ask } from '../support/ask.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

/** So that one loopback address can stand for the public internet: 127.0.0.2 counts as public here. */
vi.mock('../../src/storage/public-address.ts', async (original) => {
  const { isPublicAddress } = await original<typeof import('../../src/storage/public-address.ts')>();
  return { isPublicAddress: (address: string) => address === '127.0.0.2' || isPublicAddress(address) };
});

let server: TestServer;
const websites: Server[] = [];
beforeAll(async () => {
  server = await startTestServer({ fetchMaxBytes: 1_000_000 });
});
afterEach(() => {
  for (const website of websites.splice(0)) {
    website.closeAllConnections();
    website.close();
  }
});
afterAll(() => server?.close());

const runPicture = async (input: object, on = server) =>
  (await ask(on, 'POST', '/models/test/picture/predictions', { body: { input }, prefer: 'wait' })).body;

async function website(answer: RequestListener): Promise<number> {
  const site = createServer(answer).listen(0, '0.0.0.0');
  websites.push(site);
  await once(site, 'listening');
  return (site.address() as AddressInfo).port;
}

test('S17 unreachable, missing, too slow, too large: the prediction fails and says why', async () => {
  const missing = await website((_, response) => response.writeHead(404).end());
  const silent = await website(() => {});
  const large = await website((_, response) => response.end(Buffer.alloc(1_000_001)));
  // The last one, so that no other takes its port.
  const deserted = await website(() => {});
  websites.at(-1)!.close();
  const impatient = await startTestServer({ fetchTimeoutMs: 1000 });
  onTestFinished(impatient.close);
  for (const [port, message, on] of [
    [deserted, /refuses connections/],
    [missing, /answered 404/],
    [silent, /did not answer in full within 1 s/, impatient],
    [large, /is larger than 1\.0 MiB/],
  ] as const) {
    const { status, error, output } = await runPicture({ image: `http://127.0.0.2:${port}/a.png` }, on);
    expect([status, output]).toEqual(['failed', null]);
    expect(error).toMatch(message);
    expect(error).toMatch(/^image: http:\/\/127\.0\.0\.2:/);
  }
  expect((await runPicture({ image: 'http://no-such-host.invalid/' })).error).toMatch(/host name is not known/);
});

test('S17 what comes back is no picture', async () => {
  const port = await website((_, response) => response.end('<html>'));
  const { status, error } = await runPicture({ image: `http://127.0.0.2:${port}/` });
  expect(status).toBe('failed');
  expect(error).toBeTruthy();
});

test('D11 private addresses, directly and by redirect: never asked', async () => {
  let asked = 0;
  const secrets = await website((_, response) => {
    asked++;
    response.end('secret');
  });
  const redirecting = await website((_, response) => {
    response.writeHead(302, { location: `http://127.0.0.1:${secrets}/` }).end();
  });
  for (const image of [
    `http://127.0.0.1:${secrets}/`,
    `http://localhost:${secrets}/`,
    `http://[::ffff:127.0.0.1]:${secrets}/`,
    `http://127.0.0.2:${redirecting}/`,
    'http://169.254.169.254/latest/meta-data/',
  ]) {
    const { status, error } = await runPicture({ image });
    expect(status).toBe('failed');
    expect(error).toMatch(/^image: .*private or reserved network address.*DARKROOM_FETCH_PRIVATE=1/);
  }
  expect(asked).toBe(0);
});
