import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { NotFoundError } from '../base/errors.ts';
import type { FileStore, StoredBytes } from './files.ts';
import { createLocalFileStore } from './local-files.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'darkroom-files-'));
});
afterEach(() => rm(folder, { recursive: true }));

test('bytes come back, with what their row needs', async () => {
  const files = createLocalFileStore(join(folder, 'files'));
  const bytes = Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), randomBytes(300_001)]);
  const stored = await files.put('out-0.png', bytes);
  expect(stored).toEqual({
    key: expect.stringMatching(/^[A-Za-z0-9_-]{32}$/),
    name: 'out-0.png',
    contentType: 'image/png',
    size: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
  });
  const path = await files.path(stored.key);
  expect(path).toBe(join(folder, 'files', stored.key.slice(0, 2), stored.key));
  expect(await readFile(path)).toEqual(bytes);
});

test('a file on disk is copied, and its label does not count', async () => {
  const files = createLocalFileStore(folder);
  const source = join(folder, 'picture.png');
  await writeFile(source, '<svg onload="alert(1)"/>');
  const stored = await files.put('picture.png', { path: source });
  expect(stored).toMatchObject({ contentType: 'application/octet-stream', size: 24 });
  await rm(source);
  expect(await readFile(await files.path(stored.key), 'utf8')).toBe('<svg onload="alert(1)"/>');
});

test('every key is new, also for the same bytes', async () => {
  const files = createLocalFileStore(folder);
  const stored = await Promise.all(Array.from({ length: 20 }, () => files.put('a', Buffer.from('same'))));
  expect(new Set(stored.map(({ key }) => key)).size).toBe(20);
});

test('a put that fails leaves nothing behind', async () => {
  const files = createLocalFileStore(folder);
  await expect(files.put('a', { path: join(folder, 'missing') })).rejects.toThrow(/ENOENT/);
  expect(await readdir(join(folder, 'partial'))).toEqual([]);
});

test('content that breaks off leaves nothing behind', async () => {
  const files = createLocalFileStore(folder);
  async function* content() {
    yield Buffer.from('first');
    throw new Error('the caller hung up');
  }
  await expect(files.put('a', content())).rejects.toThrow('the caller hung up');
  expect(await listOf(files)).toEqual([]);
});

test('a copy outlives what it was copied from', async () => {
  const files = createLocalFileStore(folder);
  const stored = await files.put('cat.txt', Buffer.from('a cat'));
  const copy = await files.copy(stored, 'image');
  expect(copy).toEqual({ ...stored, key: expect.not.stringMatching(stored.key), name: 'image' });
  await files.delete(stored.key);
  expect(await text(await files.read(copy.key))).toBe('a cat');
  await expect(files.copy(stored, 'image')).rejects.toThrow(NotFoundError);
});

test('bytes are read whole or in part', async () => {
  const files = createLocalFileStore(folder);
  const bytes = randomBytes(200_000);
  const { key } = await files.put('a', bytes);
  expect(await buffer(await files.read(key))).toEqual(bytes);
  expect(await buffer(await files.read(key, { start: 70_000, end: 70_000 }))).toEqual(bytes.subarray(70_000, 70_001));
  await files.delete(key);
  await expect(files.read(key)).rejects.toThrow(NotFoundError);
});

test('the list has what lies there, also what was never finished, and a new link is a new change', async () => {
  const files = createLocalFileStore(join(folder, 'files'));
  expect(await listOf(files)).toEqual([]);
  const stored = await files.put('a', Buffer.from('x'));
  const unfinished = 'u'.repeat(32);
  await writeFile(join(folder, 'files', 'partial', unfinished), 'half');
  await utimes(join(folder, 'files', stored.key.slice(0, 2), stored.key), 1, 1);
  const before = Date.now() - 1000;
  const copy = await files.copy(stored, 'b');
  const listed = await listOf(files);
  expect(listed.map(({ key }) => key).sort()).toEqual([stored.key, copy.key, unfinished].sort());
  for (const { changedAt } of listed) expect(changedAt.getTime()).toBeGreaterThan(before);
  for (const { key } of listed) await files.delete(key);
  expect(await listOf(files)).toEqual([]);
});

test('a store belongs to the first database that claims it', async () => {
  const files = createLocalFileStore(join(folder, 'files'));
  expect(await files.claim('one')).toBe(true);
  expect(await files.claim('two')).toBe(false);
  expect(await files.claim('one')).toBe(true);
  expect(await listOf(files)).toEqual([]);
});

test('of databases that claim a store at once, one has it', async () => {
  for (let round = 0; round < 10; round++) {
    const files = createLocalFileStore(join(folder, String(round)));
    const claims = await Promise.all(['one', 'two', 'one', 'two'].map((id) => files.claim(id)));
    expect([claims[0], claims[1]]).toEqual([claims[2], claims[3]]);
    expect(claims[0]).not.toBe(claims[1]);
    expect(await listOf(files)).toEqual([]);
  }
});

test('deleted is gone; deleting again is no error', async () => {
  const files = createLocalFileStore(folder);
  const { key } = await files.put('a', Buffer.from('x'));
  await files.delete(key);
  await files.delete(key);
  await expect(files.path(key)).rejects.toThrow(NotFoundError);
});

test.each([
  '../../etc/passwd',
  '..',
  '',
  'a/b',
  '%2e%2e',
  `${'a'.repeat(30)}\0`,
  `${'a'.repeat(30)}\n`,
  'a'.repeat(4000),
])('the key %j never reaches the disk', async (key) => {
  const files = createLocalFileStore(folder);
  await expect(files.path(key)).rejects.toThrow(NotFoundError);
  await expect(files.delete(key)).rejects.toThrow(NotFoundError);
});

async function listOf(files: FileStore): Promise<StoredBytes[]> {
  const listed: StoredBytes[] = [];
  for await (const stored of files.list()) listed.push(stored);
  return listed;
}
