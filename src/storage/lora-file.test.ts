import { once } from 'node:events';
import { readdirSync, statSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { pack } from 'tar-stream';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type LoraOptions, loraFile } from './lora-file.ts';
import { checkLoraUrl } from './lora-url.ts';

/** So that one loopback address can stand for the public internet: 127.0.0.2 counts as public here. */
vi.mock('./public-address.ts', async (original) => {
  const { isPublicAddress } = await original<typeof import('./public-address.ts')>();
  return { isPublicAddress: (address: string) => address === '127.0.0.2' || isPublicAddress(address) };
});

let home: string;
const servers: Server[] = [];
let attempts: number;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'darkroom-lora-file-'));
  attempts = 0;
});
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
  await rm(home, { recursive: true });
});

async function serve(answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  servers.push(server);
  server.listen(0, '0.0.0.0');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** As a LoRA begins. */
function weights(size: number, letter = 'a'): Buffer {
  return Buffer.concat([Buffer.from([2, 0, 0, 0, 0, 0, 0, 0]), Buffer.from('{}'), Buffer.alloc(size - 10, letter)]);
}

interface Attempt {
  path: string;
  folder: string;
  lines: string[];
}

async function fetched(url: string, origin: string, changes: Partial<LoraOptions['settings']> = {}): Promise<Attempt> {
  const folder = join(home, 'attempts', String(attempts++));
  await mkdir(folder, { recursive: true });
  const lines: string[] = [];
  const path = await loraFile(url, {
    settings: {
      home,
      fetchPrivate: true,
      loraOrigins: [`${origin}/`],
      loraMaxBytes: 100_000,
      loraTimeoutMs: 30_000,
      loraCacheBytes: 100_000,
      ...changes,
    },
    field: 'custom_lora_url',
    folder,
    signal: new AbortController().signal,
    log: (line) => lines.push(line),
  });
  return { path, folder, lines };
}

const cached = async (): Promise<string[]> => (await readdir(join(home, 'loras'))).sort();

describe('which addresses are read', () => {
  const allowed = ['https://models.example/loras', 'http://10.0.0.5:8080/'];

  test.each([
    'https://replicate.delivery/pbxt/AbC123xyz/trained_model.tar',
    'https://pbxt.replicate.delivery/AbC123xyz/trained_model.tar',
    'HTTPS://PBXT.Replicate.Delivery:443/AbC123xyz/trained_model.tar',
    'https://models.example/loras/a/b.safetensors?version=2',
    'http://10.0.0.5:8080/anything',
  ])('%s', (url) => expect(() => checkLoraUrl(url, allowed, 'custom_lora_url')).not.toThrow());

  test.each([
    'https://evil.example/https://replicate.delivery/pbxt/id/trained_model.tar',
    'https://evil.example/?https://pbxt.replicate.delivery/id/trained_model.tar',
    'https://replicate.delivery.evil.example/pbxt/id/trained_model.tar',
    'https://evil.example#https://replicate.delivery/pbxt/id/trained_model.tar',
    'https://replicate.delivery@evil.example/pbxt/id/trained_model.tar',
    'https://user:word@replicate.delivery/pbxt/id/trained_model.tar',
    'http://replicate.delivery/pbxt/id/trained_model.tar',
    'https://replicate.delivery:8443/pbxt/id/trained_model.tar',
    'https://replicate.delivery/pbxt/../secret/id/trained_model.tar',
    'https://replicate.delivery/pbxt/a/b/trained_model.tar',
    'https://replicate.delivery/pbxt/id/trained_model.tar?x=/trained_model.tar',
    'https://replicate.delivery/other/id/trained_model.tar',
    'https://models.example/loras-of-others/x',
    'https://models.example/loras/../private/x',
    'https://models.example/loras/%2e%2e/private/x',
    'https://models.example/loras/..%2fprivate/x',
    'https://models.example/loras/..%5Cprivate/x',
    'https://models.example.evil.example/loras/x',
    'http://10.0.0.5:8081/anything',
    'file:///etc/passwd',
    '/etc/passwd',
    'trained_model.tar',
  ])('not %s', (url) => {
    expect(() => checkLoraUrl(url, allowed, 'custom_lora_url')).toThrow(
      expect.objectContaining({
        name: 'InputError',
        field: 'custom_lora_url',
        message: expect.stringMatching(
          /^custom_lora_url: Custom LoRA URL format is not supported\..*DARKROOM_LORA_ORIGINS/,
        ),
      }),
    );
  });
});

test('what lies there is fetched once, also out of an archive, and again after a day', async () => {
  let requests = 0;
  const archive = pack();
  archive.entry({ name: 'lora.safetensors' }, weights(500));
  archive.finalize();
  const bytes = await buffer(archive);
  const origin = await serve((_, response) => {
    requests++;
    response.end(bytes);
  });
  const first = await fetched(`${origin}/id/trained_model.tar`, origin);
  expect(await readFile(first.path)).toEqual(weights(500));
  expect(first.lines).toEqual([
    `Downloading the LoRA from ${new URL(origin).host}.`,
    expect.stringMatching(/^Downloaded the LoRA in \d+\.\d s: .+\.$/),
  ]);
  const second = await fetched(`${origin}/id/trained_model.tar`, origin);
  expect(second).toMatchObject({ path: first.path, lines: [] });
  expect(requests).toBe(1);
  expect(await cached()).toHaveLength(1);

  const yesterday = new Date(Date.now() - 25 * 3_600_000);
  await utimes(first.path, new Date(), yesterday);
  const third = await fetched(`${origin}/id/trained_model.tar`, origin);
  expect(requests).toBe(2);
  // Engines keep networks by the paths of their weights.
  expect(third.path).not.toBe(first.path);
});

test('two at once get the same bytes', async () => {
  const origin = await serve((_, response) => void response.end(weights(40_000)));
  const both = await Promise.all([fetched(`${origin}/a`, origin), fetched(`${origin}/a`, origin)]);
  for (const { path } of both) expect((await stat(path)).size).toBe(40_000);
});

test('what was used longest ago makes room, but nothing that is in use', async () => {
  const origin = await serve((request, response) => void response.end(weights(40_000, request.url!.at(-1))));
  const used = await fetched(`${origin}/a`, origin);
  const old = await fetched(`${origin}/b`, origin);
  await rm(old.folder, { recursive: true });
  const newest = await fetched(`${origin}/c`, origin);
  await expect(stat(old.path)).rejects.toThrow('ENOENT');
  expect((await stat(used.path)).size + (await stat(newest.path)).size).toBe(80_000);
});

test('a file is in use from the moment it is there, so that nobody makes room of it', async () => {
  const origin = await serve((_, response) => void response.end(weights(500)));
  const loras = join(home, 'loras');
  await mkdir(loras);
  const unused = new Set<string>();
  let watching = true;
  const watch = (): void => {
    const there = readdirSync(loras).filter((name) => !name.endsWith('.part'));
    for (const name of there) if (statSync(join(loras, name)).nlink < 2) unused.add(name);
    if (watching) setImmediate(watch);
  };
  watch();
  try {
    for (const name of ['a', 'b', 'c']) await fetched(`${origin}/${name}`, origin);
  } finally {
    watching = false;
  }
  expect([...unused]).toEqual([]);
  expect(await cached()).toHaveLength(3);
});

describe('nothing is kept of', () => {
  test('what is too large, with or without a length', async () => {
    const origin = await serve((request, response) => {
      if (request.url === '/lied') response.write(weights(60_000));
      response.end(weights(60_000));
    });
    await expect(fetched(`${origin}/said`, origin, { loraMaxBytes: 50_000 })).rejects.toThrow(
      /^custom_lora_url: .*larger than 0\.0 MiB.*DARKROOM_LORA_MAX_BYTES/,
    );
    await expect(fetched(`${origin}/lied`, origin)).rejects.toThrow(/DARKROOM_LORA_MAX_BYTES/);
    expect(await cached()).toEqual([]);
  });

  test('what is no LoRA', async () => {
    const origin = await serve((_, response) => void response.end('<html>Sign in</html>'));
    await expect(fetched(`${origin}/x.safetensors`, origin)).rejects.toThrow(/no LoRA but a web page/);
    expect(await cached()).toEqual([]);
  });

  test('what breaks off, or takes too long', async () => {
    const origin = await serve((request, response) => {
      response.writeHead(200, { 'content-length': '1000' });
      response.write(weights(500));
      if (request.url === '/broken') setTimeout(() => response.destroy(), 20);
    });
    await expect(fetched(`${origin}/broken`, origin)).rejects.toThrow(
      /broke off.*upload the file \(POST \/v1\/files\)/,
    );
    await expect(fetched(`${origin}/slow`, origin, { loraTimeoutMs: 150 })).rejects.toThrow(/did not answer in full/);
    expect(await cached()).toEqual([]);
  });

  test('a redirect to a private address', async () => {
    let asked = false;
    const hidden = await serve((_, response) => {
      asked = true;
      response.end(weights(500));
    });
    const redirecting = await serve((_, response) => void response.writeHead(302, { location: hidden }).end());
    const origin = redirecting.replace('127.0.0.1', '127.0.0.2');
    await expect(fetched(`${origin}/x`, origin, { fetchPrivate: false })).rejects.toThrow(
      /private or reserved network address.*DARKROOM_FETCH_PRIVATE/,
    );
    expect(asked).toBe(false);
    expect((await fetched(`${origin}/x`, origin)).path).toContain('loras');
  });
});

test('a transfer that takes long says how far it is', async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  const origin = await serve((_, response) => {
    vi.setSystemTime(Date.now() + 2_000);
    response.end(weights(3000));
  });
  const { lines } = await fetched(`${origin}/slow`, origin).finally(() => vi.useRealTimers());
  expect(lines[1]).toMatch(/^LoRA: .* of 3\.0 kB\.$/);
});
