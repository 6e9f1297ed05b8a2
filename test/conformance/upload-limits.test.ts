/** What uploads may not be, how long they stay, and what is left of them. Numbers are those of docs/api.md. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import Replicate, { type FileObject } from 'replicate';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { UploadJson } from '../../src/server/wire-upload.ts';
import { createLocalFileStore } from '../../src/storage/local-files.ts';
import { disposition, formOf, type Part, plainPng, postForm, storedFiles } from '../support/forms.ts';
import { exchange, requestHead } from '../support/http.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { waitUntil } from '../support/wait-until.ts';

const megabyte = 2 ** 20;
const authorization = 'Bearer r8_one';
let server: TestServer;
let replicate: Replicate;
let png: Buffer;
beforeAll(async () => {
  const limits = { uploadMaxBytes: megabyte, uploadQuota: 20 * megabyte };
  server = await startTestServer({ apiTokens: ['r8_one', 'r8_full'], ...limits });
  replicate = new Replicate({ auth: 'r8_one', baseUrl: `${server.origin}/v1` });
  png = await plainPng();
});
afterAll(() => server?.close());

const postParts = (parts: readonly Part[]) => postForm(server, formOf(parts));

test('D72 expired files are gone at once, and their bytes with the next sweep', async () => {
  const short = await startTestServer({ uploadExpiryMs: 300, auth: 'none', concurrency: 0 });
  const client = new Replicate({ auth: '', baseUrl: `${short.origin}/v1` });
  try {
    const { id, urls } = (await client.files.create(png)) as UploadJson;
    await waitUntil('the file expires', async () => (await fetch(`${short.origin}/files/${id}`)).status === 404);
    expect((await client.files.list()) as unknown).toMatchObject({ results: [] });
    expect((await fetch(urls.download)).status).toBe(410);
    expect(await short.sweep()).toEqual({ expired: 1, orphans: 0 });
    const left = await readdir(join(short.home, 'files'), { recursive: true, withFileTypes: true });
    expect(left.filter((entry) => entry.isFile()).map(({ name }) => name)).toEqual(['database']);
  } finally {
    await short.close();
  }
});

test('D73 too large a file is 413 for every client, and nothing of it is kept', async () => {
  const before = await storedFiles(server);
  for (const size of [megabyte + 1, 3 * megabyte, 30 * megabyte]) {
    const large = Buffer.alloc(size);
    await expect(replicate.files.create(large)).rejects.toThrow(/413.*DARKROOM_UPLOAD_MAX_BYTES/s);
  }
  // The client falls back to data URLs on what it takes for a fault of the server; this is none.
  const run = replicate.run('test/echo', { input: { image: Buffer.alloc(3 * megabyte) } });
  await expect(run).rejects.toThrow(/413/);
  const head = requestHead('POST /files', {
    authorization,
    'content-type': 'multipart/form-data; boundary=b',
    'transfer-encoding': 'chunked',
  });
  const chunk = Buffer.alloc(64 * 1024, 'x');
  const part = `--b\r\n${disposition('name="content"')}\r\n\r\n`;
  const chunks = Array.from({ length: 100 }, () => [`${chunk.length.toString(16)}\r\n`, chunk, '\r\n']).flat();
  const request = Buffer.concat(
    [head, `${part.length.toString(16)}\r\n${part}\r\n`, ...chunks].map((x) => Buffer.from(x)),
  );
  expect(await exchange(server.port, request)).toMatch(/^HTTP\/1\.1 413 /);
  const exact = await replicate.files.create(Buffer.alloc(megabyte));
  expect(exact.size).toBe(megabyte);
  await replicate.files.delete(exact.id);
  expect(await storedFiles(server)).toEqual(before);
});

test('D73 an account has no more room than its quota', async () => {
  const full = new Replicate({ auth: 'r8_full', baseUrl: `${server.origin}/v1` });
  const files = await Promise.allSettled(Array.from({ length: 24 }, () => full.files.create(Buffer.alloc(megabyte))));
  const made = files.filter((file) => file.status === 'fulfilled');
  expect(made).toHaveLength(20);
  await expect(full.files.create(Buffer.from('x'))).rejects.toThrow(/413.*DARKROOM_UPLOAD_QUOTA/s);
  await full.files.delete(made[0]!.value.id);
  expect((await full.files.create(Buffer.from('x'))).size).toBe(1);
  const { results } = (await full.files.list()) as unknown as { results: FileObject[] };
  expect(results).toHaveLength(20);
  for (const { id } of results) await full.files.delete(id);
});

test('D74 names are never paths, and no longer than 255 bytes', async () => {
  const names: [string, string][] = [
    ['../../etc/passwd', 'passwd'],
    ['..\\..\\windows\\system.ini', 'system.ini'],
    ['/', 'file.png'],
    ['..', 'file.png'],
    ['', 'file.png'],
    ['a\u0000b.png', 'ab.png'],
  ];
  for (const [given, kept] of names) {
    const { status, body } = await postParts([
      [disposition('name="content"; filename="x"'), png],
      [disposition('name="filename"'), given],
    ]);
    expect([given, status, body.name]).toEqual([given, 201, given === '' ? body.name : kept]);
    expect((await fetch(body.urls.download)).headers.get('content-disposition')).not.toMatch(/[/\\]|\.\./);
  }
  const viaPart = await postParts([[disposition('name="content"; filename="../../../x.png"'), png]]);
  expect(viaPart.body.name).toBe('x.png');
  const longest = (await replicate.files.create(new File([png], 'é'.repeat(127)))) as UploadJson;
  expect(longest.name).toBe('é'.repeat(127));
  await expect(replicate.files.create(new File([png], 'é'.repeat(128)))).rejects.toThrow(/422.*255/s);
});

test.each<[string, string, number, RegExp]>([
  ['no boundary', 'multipart/form-data', 400, /boundary/],
  ['an empty boundary', 'multipart/form-data; boundary=', 400, /./],
  ['JSON', 'application/json', 415, /multipart/],
  ['nothing of the announced form', 'multipart/form-data; boundary=zzz', 400, /last boundary/],
])('S70 a body with %s is refused', async (_, type, expected, detail) => {
  const { status, body } = await postForm(server, formOf([[disposition('name="content"'), 'x']]), {
    'content-type': type,
  });
  expect([status, body.detail]).toEqual([expected, expect.stringMatching(detail)]);
});

test('S70 hostile forms are refused and leave nothing', async () => {
  const before = (await storedFiles(server)).length;
  const content: Part = [disposition('name="content"; filename="a"'), 'x'];
  const many: Part[] = Array.from({ length: 10_000 }, (_, at) => [disposition(`name="f${at}"`), 'x']);
  const nested = formOf([[disposition('name="content"; filename="inner"'), 'inner']], 'inner');
  const cases: [string, Part[], number][] = [
    ['10,000 parts', [content, ...many], 400],
    ['10,000 parts before', [...many, content], 400],
    ['two files', [content, content], 400],
    ['no file', [[disposition('name="metadata"'), '{}']], 422],
    ['no parts', [], 422],
    ['metadata that is no JSON', [content, [disposition('name="metadata"'), '{']], 422],
    ['metadata that is no object', [content, [disposition('name="metadata"'), '[1]']], 422],
    ['metadata that is too long', [content, [disposition('name="metadata"'), `{"a":"${'x'.repeat(70_000)}"}`]], 422],
    [
      'metadata that is too deep',
      [content, [disposition('name="metadata"'), `{"a":${'['.repeat(30_000)}${']'.repeat(30_000)}}`]],
      422,
    ],
    ['a type that is none', [content, [disposition('name="type"'), 'x']], 422],
    ['a part without a name', [[disposition('filename="a"'), 'x']], 422],
    ['a part without headers', [['X: y', 'x']], 422],
    ['a huge header', [[`${disposition('name="content"; filename="a"')}\r\nX: ${'y'.repeat(200_000)}`, 'x']], 201],
    ['10,000 headers', [[`${disposition('name="content"; filename="a"')}${'\r\nX: y'.repeat(10_000)}`, 'x']], 201],
    [
      'a nested form',
      [[`${disposition('name="content"')}\r\nContent-Type: multipart/mixed; boundary=inner`, nested]],
      201,
    ],
  ];
  let taken = 0;
  for (const [name, parts, expected] of cases) {
    const { status, body } = await postParts(parts);
    expect([name, status, body.detail]).toEqual([name, expected, status === 201 ? undefined : expect.any(String)]);
    if (status === 201) taken++;
  }
  expect((await storedFiles(server)).length).toBe(before + taken);
  expect((await fetch(`${server.origin}/healthz`)).status).toBe(200);
});

test('D75 half a body leaves nothing behind', async () => {
  const before = (await storedFiles(server)).length;
  const body = `--b\r\n${disposition('name="content"; filename="half"')}\r\n\r\n${'x'.repeat(300_000)}`;
  const head = requestHead('POST /files', {
    authorization,
    'content-type': 'multipart/form-data; boundary=b',
    'content-length': 600_000,
  });
  const sockets = Array.from({ length: 10 }, () => connect(server.port, '127.0.0.1'));
  for (const socket of sockets) socket.on('error', () => {}).write(head + body);
  // Of all: what the server had not read yet would come after the look at what is left.
  await waitUntil('the bytes arrive', async () => (await storedFiles(server)).length === before + sockets.length);
  for (const socket of sockets) socket.destroy();
  await waitUntil('what arrived is removed', async () => (await storedFiles(server)).length === before);
  // A form that ends too early although every announced byte is there.
  const early = await postForm(server, body.slice(0, 1000));
  expect([early.status, (await storedFiles(server)).length]).toEqual([400, before]);
});

test('D75 bytes without a row are swept, and nothing else', async () => {
  const { urls } = (await replicate.files.create(png)) as UploadJson;
  const { output } = await replicate.predictions.create({ model: 'test/picture', input: {}, wait: true });
  const before = (await storedFiles(server)).sort();
  const folder = join(server.home, 'files');
  await createLocalFileStore(folder).put('orphan', Buffer.from('nobody needs this'));
  expect(await storedFiles(server)).toHaveLength(before.length + 1);
  // It may still get its row.
  expect((await server.sweep(3_600_000)).orphans).toBe(0);
  // To another database all of these would be orphans.
  const mark = await readFile(join(folder, 'database'), 'utf8');
  await writeFile(join(folder, 'database'), 'another');
  expect((await server.sweep()).orphans).toBe(0);
  await writeFile(join(folder, 'database'), mark);
  expect((await server.sweep()).orphans).toBe(1);
  expect((await storedFiles(server)).sort()).toEqual(before);
  for (const url of [urls.download, (output as string[])[0]!]) expect((await fetch(url)).status).toBe(200);
});
