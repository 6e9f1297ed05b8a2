/** Delivered files. Numbers are those of docs/api.md. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { exchange, requestHead } from '../support/http.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let url: string;
let bytes: Buffer;
beforeAll(async () => {
  server = await startTestServer({ apiTokens: ['r8_one'] });
  url = (await run({ num_outputs: 2 })).output[1]!;
  bytes = Buffer.from(await (await fetch(url)).arrayBuffer());
});
afterAll(() => server?.close());

interface Result {
  id: string;
  output: string[];
  input: { image?: string };
  status: string;
  error: string | null;
  logs: string;
}

async function run(input: object): Promise<Result> {
  const response = await fetch(`${server.origin}/v1/models/test/picture/predictions`, {
    method: 'POST',
    headers: { authorization: 'Bearer r8_one', 'content-type': 'application/json', prefer: 'wait' },
    body: JSON.stringify({ input }),
  });
  expect(response.status).toBe(201);
  return (await response.json()) as Result;
}

const get = (headers: Record<string, string> = {}, method = 'GET'): Promise<Response> =>
  fetch(url, { method, headers });

test('S24 A7 a file is read without a token, with one, and again', async () => {
  expect(url).toMatch(new RegExp(`^${server.origin}/f/[A-Za-z0-9_-]{22,}/out-1\\.png$`));
  const { width, height } = await sharp(bytes).metadata();
  expect([width, height]).toEqual([5, 3]);
  for (const headers of [{}, { authorization: 'Bearer r8_one' }, { authorization: 'Bearer wrong' }] as Record<
    string,
    string
  >[]) {
    expect(Buffer.from(await (await get(headers)).arrayBuffer())).toEqual(bytes);
  }
});

test('S25 its headers, also for HEAD', async () => {
  for (const method of ['GET', 'HEAD']) {
    const response = await get({}, method);
    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'image/png',
      'content-length': String(bytes.length),
      'content-disposition': 'inline; filename="out-1.png"',
      'x-content-type-options': 'nosniff',
      'access-control-allow-origin': '*',
      'cache-control': 'private, max-age=31536000, immutable',
      'accept-ranges': 'bytes',
      etag: expect.stringMatching(/^"[0-9a-f]{64}"$/),
    });
    expect((await response.arrayBuffer()).byteLength).toBe(method === 'GET' ? bytes.length : 0);
  }
});

test('S25 ranges', async () => {
  const part = async (range: string, headers: Record<string, string> = {}) => {
    const response = await get({ range, ...headers });
    const body = Buffer.from(await response.arrayBuffer());
    return { status: response.status, range: response.headers.get('content-range'), body };
  };
  const size = bytes.length;
  expect(await part('bytes=2-5')).toEqual({ status: 206, range: `bytes 2-5/${size}`, body: bytes.subarray(2, 6) });
  expect(await part('bytes=-4')).toMatchObject({ status: 206, body: bytes.subarray(size - 4) });
  expect(await part('bytes=4-')).toMatchObject({ status: 206, body: bytes.subarray(4) });
  expect(await part(`bytes=${size}-`)).toMatchObject({ status: 416, range: `bytes */${size}` });
  expect(await part('bytes=0-1,4-5')).toMatchObject({ status: 200, body: bytes });
  const etag = (await get()).headers.get('etag')!;
  expect(await part('bytes=0-0', { 'if-range': etag })).toMatchObject({ status: 206 });
  expect(await part('bytes=0-0', { 'if-range': '"other"' })).toMatchObject({ status: 200, body: bytes });
  const head = await get({ range: 'bytes=0-2' }, 'HEAD');
  expect([head.status, head.headers.get('content-length')]).toEqual([206, '3']);
});

test('S25 an unchanged file is not sent again', async () => {
  const etag = (await get()).headers.get('etag')!;
  for (const known of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
    const response = await get({ 'if-none-match': known });
    expect(response.status).toBe(304);
    expect(response.headers.get('etag')).toBe(etag);
    expect(await response.text()).toBe('');
  }
  expect((await get({ 'if-none-match': '"x"' })).status).toBe(200);
});

test('D12 a script in a picture is not run here: octet-stream, to be saved', async () => {
  const [svg] = (await run({ format: 'svg' })).output;
  const response = await fetch(svg!);
  expect(response.headers.get('content-type')).toBe('application/octet-stream');
  expect(response.headers.get('content-disposition')).toBe('attachment; filename="out-0.svg"');
  expect(response.headers.get('content-security-policy')).toContain('sandbox');
});

test('S24 a key that nobody was given, another name, and paths that leave the store are not found', async () => {
  const key = url.split('/').at(-2)!;
  const paths = [
    `/f/${key}/out-0.png`,
    `/f/${key}`,
    `/f/${key}/`,
    `/f/${key.slice(0, -1)}${key.endsWith('A') ? 'B' : 'A'}/out-1.png`,
    '/f/a/out-1.png',
  ];
  const hostile = [
    '/f/../../etc/passwd',
    '/f/..%2f..%2fetc/passwd',
    '/f/%00/a',
    `/f/${key}/..%2fout-1.png`,
    '/f/%2e%2e/a',
  ];
  for (const path of [...paths, ...hostile]) {
    const answer = await exchange(server.port, requestHead(`GET ${path}`));
    expect(`${path} ${answer.slice(9, 12)}`).toBe(`${path} 404`);
    expect(answer).toMatch(/cache-control: no-store/i);
  }
});

test('S16 D6 a data URL becomes a file: sniffed, stored once, echoed as its address', async () => {
  const before = await storedFiles();
  const jpeg = await sharp({ create: { width: 9, height: 6, channels: 3, background: 'blue' } })
    .jpeg()
    .toBuffer();
  const { status, input, output } = await run({ image: `data:text/html;base64,${jpeg.toString('base64url')}` });
  expect(status).toBe('succeeded');
  expect(input.image).toMatch(/\/f\/[\w-]+\/image\.jpg$/);
  const echoed = await fetch(input.image!);
  expect(echoed.headers.get('content-type')).toBe('image/jpeg');
  expect(Buffer.from(await echoed.arrayBuffer())).toEqual(jpeg);
  const { width } = await sharp(await (await fetch(output[0]!)).arrayBuffer()).metadata();
  expect(width).toBe(9);
  expect((await storedFiles()) - before).toBe(2);
});

test('D7 a file of this server is used without going over the network, under any host name', async () => {
  // The network would be refused: the address is private.
  for (const address of [url, url.replace('127.0.0.1', 'container'), url.replace('/f/', '/v1/f/')]) {
    const { status, input, logs } = await run({ image: address });
    expect([status, logs]).toEqual(['succeeded', expect.stringContaining('prompt of 7 characters')]);
    expect(input.image).toBe(url);
  }
});

test('D7 a file of this server that is gone fails in plain words', async () => {
  const [gone] = (await run({})).output;
  const key = gone!.split('/').at(-2)!;
  await rm(join(server.home, 'files', key.slice(0, 2), key));
  expect((await fetch(gone!)).status).toBe(404);
  const { status, error } = await run({ image: gone });
  expect(status).toBe('failed');
  expect(error).toBe('image: the file out-0.png is no longer stored; send it again.');
});

test('D13 when its time is over a prediction keeps its row alone, and its files are gone', async () => {
  const { id, input, output } = await run({ image: url, prompt: 'private' });
  await server.removeData();
  const headers = { authorization: 'Bearer r8_one' };
  const left = await (await fetch(`${server.origin}/predictions/${id}`, { headers })).json();
  expect(left).toMatchObject({ id, status: 'succeeded', input: {}, output: null, logs: '', data_removed: true });
  for (const address of [input.image, ...output]) expect((await fetch(address!)).status).toBe(404);
  expect(await storedFiles()).toBe(0);
});

async function storedFiles(): Promise<number> {
  const entries = await readdir(join(server.home, 'files'), { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).length;
}
