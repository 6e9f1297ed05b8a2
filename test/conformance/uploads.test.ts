/** Uploaded files. Numbers are those of docs/api.md. */
import { createHash, randomBytes } from 'node:crypto';
import Replicate, { type FileObject, type Prediction } from 'replicate';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { UploadJson } from '../../src/server/wire-upload.ts';
import { downloadUrl } from '../../src/uploads/upload-url.ts';
import { disposition, formOf, type Part, plainPng, postForm, storedFiles } from '../support/forms.ts';
import { endless } from '../support/gate.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let replicate: Replicate;
let other: Replicate;
let png: Buffer;
beforeAll(async () => {
  server = await startTestServer({ apiTokens: ['r8_one', 'r8_two'] });
  [replicate, other] = ['r8_one', 'r8_two'].map((auth) => new Replicate({ auth, baseUrl: `${server.origin}/v1` })) as [
    Replicate,
    Replicate,
  ];
  png = await plainPng();
});
afterAll(() => server?.close());

const postParts = (parts: readonly Part[]) => postForm(server, formOf(parts));

test('S70 S71 files.create of a Buffer, a Blob and a File; get, list and delete', async () => {
  const before = Date.now();
  const made = (await replicate.files.create(new File([png], 'cat.png'), { k: 'v' })) as UploadJson;
  expect(made).toEqual({
    id: expect.stringMatching(/^[0-9a-f]{32}$/),
    name: 'cat.png',
    content_type: 'image/png',
    size: png.length,
    etag: createHash('md5').update(png).digest('hex'),
    checksums: {
      sha256: createHash('sha256').update(png).digest('hex'),
      md5: createHash('md5').update(png).digest('hex'),
    },
    metadata: { k: 'v' },
    created_at: expect.stringMatching(/^\d{4}-.*Z$/),
    expires_at: expect.any(String),
    urls: { get: `${server.origin}/v1/files/${made.id}`, download: expect.stringContaining(`${made.id}/download?`) },
  });
  const kept = Date.parse(made.expires_at) - Date.parse(made.created_at);
  expect(kept).toBeGreaterThanOrEqual(24 * 3_600_000);
  expect(kept).toBeLessThan(24 * 3_600_000 + 1000);
  expect(Date.parse(made.created_at)).toBeGreaterThan(before - 5000);

  const buffer = (await replicate.files.create(png)) as UploadJson;
  expect(buffer.name).toMatch(/^buffer_\d+$/);
  const blob = await replicate.files.create(new Blob(['just words'], { type: 'text/plain' }), { nested: { a: [1] } });
  expect(blob).toMatchObject({ content_type: 'text/plain', size: 10, metadata: { nested: { a: [1] } } });

  expect(await replicate.files.get(made.id)).toEqual(made);
  const { results } = (await replicate.files.list()) as unknown as { results: FileObject[] };
  expect(results.slice(0, 3).map(({ id }) => id)).toEqual([blob.id, buffer.id, made.id]);
  for (const { id } of [made, buffer, blob]) expect(await replicate.files.delete(id)).toBe(true);
  await expect(replicate.files.get(made.id)).rejects.toThrow(/404/);
  await expect(replicate.files.delete(made.id)).rejects.toThrow(/404/);
  expect((await fetch(made.urls.download)).status).toBe(404);
  expect(await storedFiles(server)).toEqual([]);
});

test('S70 both dialects of multipart, and what may stand beside the file', async () => {
  const asField = await postParts([
    [disposition('name="content"; filename="cat.png"'), png],
    [disposition('name="metadata"'), '{"k":"v"}'],
  ]);
  expect(asField).toMatchObject({ status: 201, body: { name: 'cat.png', metadata: { k: 'v' } } });
  expect(asField.headers.get('location')).toBe(asField.body.urls.get);
  // As the second Python client writes an object.
  const flat = await postParts([
    [disposition('name="metadata[k]"'), 'v'],
    [disposition('name="content"; filename="upload"'), png],
  ]);
  expect(flat).toMatchObject({ status: 201, body: { metadata: { k: 'v' } } });
  const bare = await postParts([[disposition('name="content"'), 'GIF89a and more']]);
  expect(bare).toMatchObject({ status: 201, body: { name: 'file.gif', content_type: 'image/gif', metadata: {} } });
  const overridden = await postParts([
    [disposition('name="filename"'), 'Größe 数.bin'],
    [disposition('name="type"'), 'Application/X-Thing; a=b'],
    [disposition('name="content"; filename="cat.png"'), 'no picture'],
  ]);
  expect(overridden.body).toMatchObject({ name: 'Größe 数.bin', content_type: 'application/x-thing' });
  const empty = await postParts([[disposition('name="content"; filename="empty"'), '']]);
  expect(empty).toMatchObject({ status: 201, body: { size: 0, etag: 'd41d8cd98f00b204e9800998ecf8427e' } });
  expect((await fetch(empty.body.urls.download)).headers.get('content-length')).toBe('0');
});

test('D70 the bytes say what a file is, and a false label counts for nothing', async () => {
  const lies: [string, string | Buffer, string][] = [
    ['image/png', '<script>alert(1)</script>', 'application/octet-stream'],
    ['text/html', '<script>alert(1)</script>', 'text/html'],
    ['text/html', png, 'image/png'],
  ];
  for (const [label, content, expected] of lies) {
    const body = Buffer.from(content as string);
    const file = (await replicate.files.create(new File([body], 'a.html', { type: label }))) as UploadJson;
    expect(file.content_type).toBe(expected);
    const { headers } = await fetch(file.urls.download);
    const isPicture = expected === 'image/png';
    expect(headers.get('content-type')).toBe(isPicture ? 'image/png' : 'application/octet-stream');
    expect(headers.get('content-disposition')).toBe(`${isPicture ? 'inline' : 'attachment'}; filename="a.html"`);
    expect(headers.get('x-content-type-options')).toBe('nosniff');
  }
});

test('S72 a signed download needs no token; any change of it is refused', async () => {
  const { id, urls } = (await replicate.files.create(new File([png], 'Größe.png'))) as UploadJson;
  for (const headers of [{}, { authorization: 'Bearer wrong' }] as Record<string, string>[]) {
    const response = await fetch(urls.download, { headers });
    expect(Buffer.from(await response.arrayBuffer())).toEqual(png);
    expect(response.headers.get('content-disposition')).toBe(
      `inline; filename="Gr__e.png"; filename*=UTF-8''Gr%C3%B6%C3%9Fe.png`,
    );
  }
  const part = await fetch(urls.download, { headers: { range: 'bytes=1-3' } });
  expect([part.status, await part.text()]).toEqual([206, 'PNG']);
  const secret = await server.accounts.filesSecret((await server.accounts.accountOf('r8_one'))!);
  const { username } = (await (await replicate.request('/account', { method: 'GET' })).json()) as {
    username: string;
  };
  const sign = (seconds: number, owner = username, file = id) =>
    downloadUrl(file, server.origin, owner, new Date(Date.now() + seconds * 1000), secret);
  const status = async (url: string) => (await fetch(url)).status;
  expect(await status(sign(60))).toBe(200);
  // A + that was not escaped, and one in the other alphabet.
  for (let seconds = 60; ; seconds++) {
    const url = sign(seconds);
    if (!url.includes('%2B')) continue;
    expect(await status(url.replaceAll('%2B', '+'))).toBe(200);
    expect(await status(url.replaceAll('%2B', '-').replaceAll('%2F', '_'))).toBe(200);
    break;
  }
  expect(await status(sign(-1))).toBe(410);
  expect(await status(sign(60, username, '0'.repeat(32)))).toBe(404);
  const url = new URL(sign(60));
  for (const [name, value] of [
    ['owner', 'local'],
    ['owner', 'nobody'],
    ['expiry', '99999999999'],
    ['signature', 'A'.repeat(43)],
    ['signature', ''],
  ] as const) {
    const changed = new URL(url);
    changed.searchParams.set(name, value);
    expect([name, await status(changed.href)]).toEqual([name, 403]);
  }
  expect(await status(url.href.replace(id, '0'.repeat(32)))).toBe(403);
  expect(await status(`${urls.get}/download`)).toBe(422);
  expect(await status(`${urls.get}/download?owner=a&owner=b&signature[]=x`)).toBe(422);
  expect(server.log()).not.toContain(new URL(urls.download).searchParams.get('signature'));
});

test('S2 files of another account are not there', async () => {
  const { id, urls } = (await replicate.files.create(png)) as UploadJson;
  await expect(other.files.get(id)).rejects.toThrow(/404/);
  await expect(other.files.delete(id)).rejects.toThrow(/404/);
  expect((await other.files.list()) as unknown).toMatchObject({ results: [] });
  const create = other.predictions.create({ model: 'test/echo', input: { image: urls.get } });
  await expect(create).rejects.toThrow(/422.*input\.image: The uploaded file does not exist or has expired/s);
  expect((await replicate.files.get(id)).id).toBe(id);
  // Whoever was given the signed address may use it.
  const given = await other.predictions.create({ model: 'test/echo', input: { image: urls.download }, wait: true });
  expect(given).toMatchObject({ status: 'succeeded', logs: expect.stringContaining(`image of ${png.length} bytes`) });
});

test('S73 the client uploads a Buffer by itself and names it as an input', async () => {
  const seen: Prediction[] = [];
  const [url] = (await replicate.run('test/picture', { input: { image: png, shade: 200 } }, (now: Prediction) =>
    seen.push(now),
  )) as string[];
  const { width, height } = await sharp(await (await fetch(url!)).arrayBuffer()).metadata();
  expect([width, height]).toEqual([7, 4]);
  const { image } = seen.at(-1)!.input as { image: string };
  expect(image).toMatch(/\/f\/[\w-]+\/image\.png$/);
  expect(Buffer.from(await (await fetch(image)).arrayBuffer())).toEqual(png);
});

test('D71 a file that a prediction names outlives its deletion until that prediction ran', async () => {
  const { id, urls } = (await replicate.files.create(png)) as UploadJson;
  // It is queued behind a slow one.
  const slow = await replicate.predictions.create({ model: 'test/echo', input: { steps: endless, step_ms: 10 } });
  const queued = await replicate.predictions.create({ model: 'test/echo', input: { image: urls.get } });
  await replicate.files.delete(id);
  await server.sweep();
  await replicate.predictions.cancel(slow.id);
  const ended = await replicate.wait(queued, { interval: 50 });
  expect(ended).toMatchObject({ status: 'succeeded', logs: expect.stringContaining(`image of ${png.length} bytes`) });
  const again = replicate.predictions.create({ model: 'test/echo', input: { image: urls.get } });
  await expect(again).rejects.toThrow(/422.*has expired; upload it again/s);
});

test('D7 an address of an uploaded file is known under every host name, and others are left alone', async () => {
  const { urls } = (await replicate.files.create(png)) as UploadJson;
  const path = new URL(urls.get).pathname;
  for (const address of [
    urls.get,
    urls.get.replace('127.0.0.1', 'localhost'),
    `https://darkroom.example${path}`,
    `http://container:5000${path.replace('/v1', '')}`,
    `http://container/v1/v1${path.replace('/v1', '')}/`,
  ]) {
    const { status, logs } = await replicate.predictions.create({
      model: 'test/echo',
      input: { image: address },
      wait: true,
    });
    expect([address, status, logs]).toEqual([address, 'succeeded', expect.stringContaining(`${png.length} bytes`)]);
  }
  // This form with an id that is not ours may be a picture of somebody else.
  const foreign = `http://192.0.2.1/files/${'0'.repeat(32)}`;
  const created = await replicate.predictions.create({ model: 'test/echo', input: { image: foreign } });
  expect((created.input as { image: string }).image).toBe(foreign);
  await replicate.predictions.cancel(created.id);
});

test('S71 pages of 100, newest first', async () => {
  const pager = new Replicate({ auth: 'r8_two', baseUrl: `${server.origin}/v1` });
  const made: string[] = [];
  for (let at = 0; at < 102; at++) made.unshift((await pager.files.create(Buffer.from(String(at)))).id);
  type Page = { results: { id: string }[]; next: string | null; previous: string | null };
  const first = (await pager.files.list()) as unknown as Page;
  expect(first.next).toMatch(new RegExp(`^${server.origin}/v1/files\\?cursor=`));
  await pager.files.create(randomBytes(10));
  const second = (await (await pager.request(first.next!, { method: 'GET' })).json()) as Page;
  expect([...first.results, ...second.results].map(({ id }) => id)).toEqual(made);
  expect(second.next).toBeNull();
  const bad = await fetch(`${server.origin}/v1/files?cursor=x`, { headers: { authorization: 'Bearer r8_one' } });
  expect([bad.status, await bad.json()]).toEqual([422, expect.objectContaining({ detail: 'Invalid cursor' })]);
});
