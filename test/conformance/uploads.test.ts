/** Uploaded files, on every database that is here. Numbers are those of docs/api.md. */
import { createHash, randomBytes } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import Replicate, { type FileObject, type Prediction } from 'replicate';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { UploadJson } from '../../src/server/wire-upload.ts';
import { createLocalFileStore } from '../../src/storage/local-files.ts';
import { downloadUrl } from '../../src/uploads/upload-url.ts';
import { databaseKinds, makePlace, type TestPlace } from '../support/databases.ts';
import { exchange, requestHead } from '../support/http.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { waitUntil } from '../support/wait-until.ts';

const megabyte = 2 ** 20;

type Part = [head: string, body: string | Buffer];

describe.each(databaseKinds())('%s', (kind) => {
  let place: TestPlace;
  let server: TestServer;
  let replicate: Replicate;
  let other: Replicate;
  let png: Buffer;
  beforeAll(async () => {
    place = await makePlace(kind);
    const tokens = ['r8_one', 'r8_two', 'r8_full'];
    const limits = { uploadMaxBytes: megabyte, uploadQuota: 20 * megabyte };
    server = await startTestServer({ apiTokens: tokens, databaseUrl: place.databaseUrl, ...limits });
    const client = (auth: string) => new Replicate({ auth, baseUrl: `${server.origin}/v1` });
    [replicate, other] = [client('r8_one'), client('r8_two')];
    const plain = { create: { width: 7, height: 4, channels: 3, background: 'red' } } as const;
    png = await sharp(plain).png().toBuffer();
  });
  afterAll(async () => {
    await server?.close();
    await place?.remove();
  });

  const authorization = 'Bearer r8_one';

  async function post(form: Buffer | string, headers: Record<string, string> = {}) {
    const response = await fetch(`${server.origin}/v1/files`, {
      method: 'POST',
      headers: { authorization, ...headers },
      body: form,
    });
    return {
      status: response.status,
      headers: response.headers,
      body: (await response.json()) as UploadJson & Problem,
    };
  }

  interface Problem {
    detail: string;
    invalid_fields?: { field: string; description: string }[];
  }

  /** A form as it goes over the wire. */
  function formOf(parts: readonly Part[], boundary = 'b'): Buffer {
    const all = parts.flatMap(([head, body]) => [`--${boundary}\r\n${head}\r\n\r\n`, body, '\r\n']);
    return Buffer.concat([...all, `--${boundary}--\r\n`].map((text) => Buffer.from(text as string)));
  }
  const disposition = (rest: string): string => `Content-Disposition: form-data; ${rest}`;
  const postParts = (parts: readonly Part[]) =>
    post(formOf(parts), { 'content-type': 'multipart/form-data; boundary=b' });

  async function storedFiles(): Promise<string[]> {
    const entries = await readdir(join(server.home, 'files'), { recursive: true, withFileTypes: true });
    return entries.filter((entry) => entry.isFile() && entry.name !== 'database').map(({ name }) => name);
  }

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
    expect(await storedFiles()).toEqual([]);
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
    const secret = await server.accounts.filesSecret((await accountOf('r8_one'))!);
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

  async function accountOf(token: string): Promise<string | undefined> {
    return server.accounts.accountOf(token);
  }

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
    const slow = await replicate.predictions.create({ model: 'test/echo', input: { steps: 1000, step_ms: 10 } });
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

  test('D72 expired files are gone at once, and their bytes with the next sweep', async () => {
    const short = await startTestServer({ uploadExpiryMs: 300, databaseUrl: place.databaseUrl, auth: 'none' });
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
    const before = await storedFiles();
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
    expect(await storedFiles()).toEqual(before);
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
    const { status, body } = await post(formOf([[disposition('name="content"'), 'x']]), { 'content-type': type });
    expect([status, body.detail]).toEqual([expected, expect.stringMatching(detail)]);
  });

  test('S70 hostile forms are refused and leave nothing', async () => {
    const before = (await storedFiles()).length;
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
    expect((await storedFiles()).length).toBe(before + taken);
    expect((await fetch(`${server.origin}/healthz`)).status).toBe(200);
  });

  test('D75 half a body leaves nothing behind', async () => {
    const before = (await storedFiles()).length;
    const body = `--b\r\n${disposition('name="content"; filename="half"')}\r\n\r\n${'x'.repeat(300_000)}`;
    const head = requestHead('POST /files', {
      authorization,
      'content-type': 'multipart/form-data; boundary=b',
      'content-length': 600_000,
    });
    const sockets = Array.from({ length: 10 }, () => connect(server.port, '127.0.0.1'));
    for (const socket of sockets) socket.on('error', () => {}).write(head + body);
    await waitUntil('the bytes arrive', async () => (await storedFiles()).length > before);
    for (const socket of sockets) socket.destroy();
    await waitUntil('what arrived is removed', async () => (await storedFiles()).length === before);
    // A form that ends too early although every announced byte is there.
    const early = await post(body.slice(0, 1000), { 'content-type': 'multipart/form-data; boundary=b' });
    expect([early.status, (await storedFiles()).length]).toEqual([400, before]);
  });

  test('D75 bytes without a row are swept, and nothing else', async () => {
    const { urls } = (await replicate.files.create(png)) as UploadJson;
    const { output } = await replicate.predictions.create({ model: 'test/picture', input: {}, wait: true });
    const before = (await storedFiles()).sort();
    const folder = join(server.home, 'files');
    await createLocalFileStore(folder).put('orphan', Buffer.from('nobody needs this'));
    expect(await storedFiles()).toHaveLength(before.length + 1);
    // It may still get its row.
    expect((await server.sweep(3_600_000)).orphans).toBe(0);
    // To another database all of these would be orphans.
    const mark = await readFile(join(folder, 'database'), 'utf8');
    await writeFile(join(folder, 'database'), 'another');
    expect((await server.sweep()).orphans).toBe(0);
    await writeFile(join(folder, 'database'), mark);
    expect((await server.sweep()).orphans).toBe(1);
    expect((await storedFiles()).sort()).toEqual(before);
    for (const url of [urls.download, (output as string[])[0]!]) expect((await fetch(url)).status).toBe(200);
  });

  test('S71 pages of 100, newest first', async () => {
    const pager = new Replicate({ auth: 'r8_full', baseUrl: `${server.origin}/v1` });
    const made: string[] = [];
    for (let at = 0; at < 102; at++) made.unshift((await pager.files.create(Buffer.from(String(at)))).id);
    type Page = { results: { id: string }[]; next: string | null; previous: string | null };
    const first = (await pager.files.list()) as unknown as Page;
    expect(first.next).toMatch(new RegExp(`^${server.origin}/v1/files\\?cursor=`));
    await pager.files.create(randomBytes(10));
    const second = (await (await pager.request(first.next!, { method: 'GET' })).json()) as Page;
    expect([...first.results, ...second.results].map(({ id }) => id)).toEqual(made);
    expect(second.next).toBeNull();
    const bad = await fetch(`${server.origin}/v1/files?cursor=x`, { headers: { authorization } });
    expect([bad.status, await bad.json()]).toEqual([422, expect.objectContaining({ detail: 'Invalid cursor' })]);
  });
});
