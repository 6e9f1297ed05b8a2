import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createLoraShelf, type LoraShelf } from './lora-shelf.ts';

let folder: string;
let shelf: LoraShelf;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'darkroom-shelf-'));
  shelf = createLoraShelf(folder);
});
afterEach(() => rm(folder, { recursive: true }));

/** A prediction's own file. */
async function sent(name: string, content: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

test('the same bytes have one path, and others another', async () => {
  const first = await shelf.place(await sent('one', 'clay'), 'a');
  expect(await shelf.place(await sent('two', 'clay'), 'b')).toBe(first);
  const other = await shelf.place(await sent('three', 'toys'), 'a');
  expect(other).not.toBe(first);
  expect(await readFile(first, 'utf8')).toBe('clay');
  expect(await readFile(other, 'utf8')).toBe('toys');
});

test('what is placed stays when its own file goes, until the last holder lets go', async () => {
  const own = await sent('one', 'clay');
  const path = await shelf.place(own, 'a');
  await shelf.place(own, 'b');
  await rm(own);
  await shelf.release('a');
  expect(await readFile(path, 'utf8')).toBe('clay');
  await shelf.release('b');
  expect(await readdir(folder)).toEqual([]);
  expect(await shelf.place(await sent('later', 'clay'), 'c')).toBe(path);
});

test('whoever comes while the last holder goes finds the file', async () => {
  const own = await sent('one', 'clay');
  const path = await shelf.place(own, 'holder 0');
  for (let turn = 0; turn < 50; turn++) {
    const [placed] = await Promise.all([shelf.place(own, `holder ${turn + 1}`), shelf.release(`holder ${turn}`)]);
    expect(placed).toBe(path);
    expect(existsSync(path)).toBe(true);
  }
});

test('a file that is gone is an error, and the next one is placed', async () => {
  await expect(shelf.place(join(folder, 'gone'), 'a')).rejects.toThrow('ENOENT');
  await shelf.release('a');
  expect(await readFile(await shelf.place(await sent('one', 'clay'), 'a'), 'utf8')).toBe('clay');
});
