import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createSocketServer, type Server as SocketServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { InputError } from '../base/errors.ts';
import { type FetchOptions, fetchToFile } from './fetch-url.ts';

/** So that one loopback address can stand for the public internet: 127.0.0.2 counts as public here. */
vi.mock('./public-address.ts', async (original) => {
  const { isPublicAddress } = await original<typeof import('./public-address.ts')>();
  return { isPublicAddress: (address: string) => address === '127.0.0.2' || isPublicAddress(address) };
});

/** What the resolver answers, per name, one list per look-up; the last list stays. */
const names = new Map<string, string[][]>();
vi.mock('node:dns', async (original) => {
  const dns = await original<typeof import('node:dns')>();
  const lookup = (...args: Parameters<typeof dns.lookup>): void => {
    const [name, , callback] = args as unknown as [string, object, (error: null, addresses: object[]) => void];
    const answers = names.get(name);
    if (!answers) {
      dns.lookup(...args);
      return;
    }
    const addresses = answers.length > 1 ? answers.shift()! : answers[0]!;
    const family = (address: string): number => (address.includes(':') ? 6 : 4);
    callback(
      null,
      addresses.map((address) => ({ address, family: family(address) })),
    );
  };
  return { ...dns, lookup };
});

let folder: string;
const servers: (Server | SocketServer)[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'darkroom-fetch-'));
});
afterEach(async () => {
  for (const server of servers.splice(0)) {
    if ('closeAllConnections' in server) server.closeAllConnections();
    server.close();
  }
  names.clear();
  await rm(folder, { recursive: true });
});

async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<number> {
  const server = createServer(answer);
  servers.push(server);
  server.listen(0, '0.0.0.0');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

function fetchIt(url: string, options: Partial<FetchOptions> = {}): Promise<number> {
  const limits = { maxBytes: 100_000, timeoutMs: 30_000, allowPrivate: true };
  return fetchToFile(url, join(folder, 'file'), { ...limits, ...options });
}

async function refusal(url: string, options: Partial<FetchOptions> = {}): Promise<string> {
  const error = await fetchIt(url, options).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(InputError);
  expect(await readdir(folder)).toEqual([]);
  return (error as InputError).message;
}

test('bytes arrive whole, asked for without credentials and without compression', async () => {
  const bytes = Buffer.alloc(70_001, 'picture');
  let asked: IncomingMessage['headers'] = {};
  const port = await serve((request, response) => {
    asked = request.headers;
    response.end(bytes);
  });
  expect(await fetchIt(`http://127.0.0.1:${port}/a.png`)).toBe(70_001);
  expect(await readFile(join(folder, 'file'))).toEqual(bytes);
  expect(asked['accept-encoding']).toBe('identity');
  expect(asked).not.toHaveProperty('authorization');
  expect(asked).not.toHaveProperty('cookie');
});

test('a message names the input, the address without its query, and a remedy', async () => {
  const port = await serve((_, response) => response.writeHead(404).end());
  expect(await refusal(`http://127.0.0.1:${port}/a.png?signature=secret`, { field: 'image' })).toBe(
    `image: http://127.0.0.1:${port}/a.png answered 404; check that the address is right and readable without signing in.`,
  );
});

test('five redirects are followed, a sixth is not; relative ones count too', async () => {
  const port = await serve(({ url }, response) => {
    const left = Number(url!.slice(1));
    if (left === 0) response.end('here');
    else response.writeHead(302, { location: `/${left - 1}` }).end();
  });
  expect(await fetchIt(`http://127.0.0.1:${port}/5`)).toBe(4);
  await rm(join(folder, 'file'));
  expect(await refusal(`http://127.0.0.1:${port}/6`)).toMatch(/redirects more than 5 times/);
});

test.each([
  'file:///etc/passwd',
  'ftp://127.0.0.1/a',
  'gopher://127.0.0.1:70/',
  'data:,x',
  'nonsense',
  '//127.0.0.1/a',
])('%s is not opened', async (url) => {
  expect(await refusal(url)).toMatch(/only http and https|is not a URL/);
});

test('a redirect to another scheme, to credentials, or to nothing is not followed', async () => {
  for (const [location, message] of [
    ['file:///etc/passwd', /only http and https/],
    ['http://user:word@127.0.0.1/', /user name or a password/],
    ['http://[', /not a URL/],
  ] as const) {
    const port = await serve((_, response) => response.writeHead(301, { location }).end());
    expect(await refusal(`http://127.0.0.1:${port}/`)).toMatch(message);
  }
});

test.each([
  ...['http://127.0.0.1/', 'http://localhost/', 'http://127.1/', 'http://0x7f.1/', 'http://2130706433/', 'http://0/'],
  ...['http://[::1]/', 'http://[::ffff:127.0.0.1]/', 'http://[::ffff:7f00:1]/', 'http://[64:ff9b::7f00:1]/'],
  ...['http://169.254.169.254/latest/meta-data/', 'http://10.0.0.1/', 'http://192.168.1.1/', 'http://100.64.0.1/'],
  ...['http://172.16.9.9/', 'http://[fd00::1]/', 'http://[fe80::1]/', 'http://224.0.0.1/', 'http://127.0.0.1.:80/'],
])('%s is private', async (url) => {
  expect(await refusal(url, { allowPrivate: false })).toMatch(/private or reserved network address/);
});

test('a redirect to a private address is refused at its hop', async () => {
  let secretsRead = 0;
  const secrets = await serve((_, response) => {
    secretsRead++;
    response.end('secret');
  });
  const port = await serve((_, response) =>
    response.writeHead(302, { location: `http://127.0.0.1:${secrets}/` }).end(),
  );
  expect(await refusal(`http://127.0.0.2:${port}/`, { allowPrivate: false })).toMatch(/private or reserved/);
  expect(secretsRead).toBe(0);
});

test('a name that leads to a private address is refused, also among public ones', async () => {
  const port = await serve((_, response) => response.end('secret'));
  names.set('inside.example', [['127.0.0.1']]);
  names.set('mixed.example', [['127.0.0.2', '10.0.0.1']]);
  names.set('six.example', [['::ffff:7f00:1']]);
  for (const name of names.keys()) {
    expect(await refusal(`http://${name}:${port}/`, { allowPrivate: false })).toMatch(/private or reserved/);
  }
});

test('the checked address is the one connected to: a name that changes its mind is asked only once', async () => {
  const port = await serve((request, response) => response.end(request.socket.localAddress));
  names.set('rebind.example', [['127.0.0.2'], ['127.0.0.1']]);
  await fetchIt(`http://rebind.example:${port}/`, { allowPrivate: false });
  expect(await readFile(join(folder, 'file'), 'utf8')).toBe('127.0.0.2');
  // And the next transfer looks it up anew.
  await rm(join(folder, 'file'));
  expect(await refusal(`http://rebind.example:${port}/`, { allowPrivate: false })).toMatch(/private or reserved/);
});

test('a file that is announced too large is not begun, one that grows too large is cut off', async () => {
  let sent = 0;
  const port = await serve(({ url }, response) => {
    if (url === '/announced') return void response.writeHead(200, { 'content-length': 100_001 }).write('x');
    const more = (): void => {
      if (response.destroyed || ++sent > 10_000) return void response.end();
      if (response.write(Buffer.alloc(10_000))) setImmediate(more);
      else response.once('drain', more);
    };
    more();
  });
  expect(await refusal(`http://127.0.0.1:${port}/announced`)).toMatch(
    /is larger than 0\.1 MiB.*DARKROOM_FETCH_MAX_BYTES/,
  );
  expect(await refusal(`http://127.0.0.1:${port}/endless`)).toMatch(/is larger than/);
  expect(sent).toBeLessThan(5000);
});

test('exactly the limit is allowed', async () => {
  const port = await serve((_, response) => response.end(Buffer.alloc(100_000)));
  expect(await fetchIt(`http://127.0.0.1:${port}/`)).toBe(100_000);
});

test('a compressed answer is refused: it was not asked for', async () => {
  const port = await serve((_, response) => {
    response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(1e6)));
  });
  expect(await refusal(`http://127.0.0.1:${port}/`)).toMatch(/content-encoding gzip/);
});

test('one deadline for everything: silence, a slow drip, a redirect that dawdles', async () => {
  const drip = await serve((_, response) => {
    const timer = setInterval(() => response.write('x'), 20);
    response.on('close', () => clearInterval(timer));
  });
  const silent = await serve(() => {});
  const dawdling = await serve((_, response) => {
    setTimeout(() => response.writeHead(302, { location: '/' }).end(), 80);
  });
  for (const port of [drip, silent, dawdling]) {
    expect(await refusal(`http://127.0.0.1:${port}/`, { timeoutMs: 300 })).toMatch(
      /did not answer in full within 0\.3 s/,
    );
  }
});

test('an answer shorter than announced, an empty one and a broken one are refused', async () => {
  const short = await serve((_, response) => {
    response.writeHead(200, { 'content-length': 1000 }).write('x');
    setTimeout(() => response.destroy(), 20);
  });
  expect(await refusal(`http://127.0.0.1:${short}/`)).toMatch(/broke off/);
  const empty = await serve((_, response) => response.end());
  expect(await refusal(`http://127.0.0.1:${empty}/`)).toMatch(/without content/);
  const noise = createSocketServer((socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'));
  servers.push(noise);
  noise.listen(0, '127.0.0.1');
  await once(noise, 'listening');
  expect(await refusal(`http://127.0.0.1:${(noise.address() as AddressInfo).port}/`)).toMatch(/cannot be read/);
});

test('nobody there: says so', async () => {
  const port = await serve(() => {});
  const closed = servers.pop()!;
  closed.close();
  await once(closed, 'close');
  expect(await refusal(`http://127.0.0.1:${port}/`)).toMatch(/refuses connections/);
  expect(await refusal('http://no-such-host.invalid/')).toMatch(/host name is not known/);
});

test("the caller's signal ends the transfer with the caller's reason", async () => {
  const port = await serve((_, response) => void response.write('x'));
  const reason = new Error('canceled');
  const controller = new AbortController();
  const onBytes = (): void => controller.abort(reason);
  await expect(fetchIt(`http://127.0.0.1:${port}/`, { signal: controller.signal, onBytes })).rejects.toBe(reason);
  expect(await readdir(folder)).toEqual([]);
});

test('a destination that is taken is an error of ours, not of the caller, and is left alone', async () => {
  const port = await serve((_, response) => response.end('second'));
  await fetchIt(`http://127.0.0.1:${port}/`);
  await expect(fetchIt(`http://127.0.0.1:${port}/`)).rejects.toThrow(/EEXIST/);
  expect(await readFile(join(folder, 'file'), 'utf8')).toBe('second');
});
