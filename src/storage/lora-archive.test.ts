import { createWriteStream, existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { gzipSync } from 'node:zlib';
import { type Header, pack } from 'tar-stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { InputError } from '../base/errors.ts';
import { takeLora } from './lora-archive.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'darkroom-archive-'));
});
afterEach(() => rm(folder, { recursive: true }));

const lora = Buffer.from('what a trainer learned '.repeat(100));

type Part = Partial<Header> & { name: string; content?: Buffer };

async function archive(...parts: Part[]): Promise<string> {
  const path = join(folder, 'trained_model.tar');
  const packed = pack();
  for (const { content, ...header } of parts) packed.entry(header, content ?? Buffer.alloc(0));
  packed.finalize();
  await pipeline(packed, createWriteStream(path));
  return path;
}

const destination = (): string => join(folder, 'taken');
const take = (path: string): Promise<string> => takeLora(path, destination(), 'custom_lora_url');

async function expectRefusal(path: string, message: string | RegExp): Promise<void> {
  const error = await take(path).then(
    () => undefined,
    (caught: unknown) => caught,
  );
  expect(error).toBeInstanceOf(InputError);
  expect((error as InputError).field).toBe('custom_lora_url');
  expect((error as InputError).message).toMatch(message);
  expect((error as InputError).message).not.toContain(folder);
  expect(existsSync(destination())).toBe(false);
}

test.each(['lora.safetensors', './lora.safetensors'])('%s is taken out of what the trainer packs', async (name) => {
  const path = await archive(
    { name: './', type: 'directory' },
    { name: 'special_params.json', content: Buffer.from('{"TOK": "<s0><s1>"}') },
    { name, content: lora },
    { name: 'embeddings.pti', content: Buffer.alloc(3000, 7) },
  );
  expect(await take(path)).toBe(destination());
  expect(await readFile(destination())).toEqual(lora);
});

test.each([0x3c, 0x280, 0x1013c, 0x10280])(
  'a file whose header has %i bytes is a LoRA, and neither web page nor pickle',
  async (length) => {
    const path = join(folder, 'style.safetensors');
    const start = Buffer.alloc(8);
    start.writeBigUInt64LE(BigInt(length));
    await writeFile(path, Buffer.concat([start, Buffer.from('{}'.padEnd(length))]));
    expect(await take(path)).toBe(path);
  },
);

test('a name as long as PAX makes possible is read, and is nothing that is wanted', async () => {
  const name = `${'deep/'.repeat(60)}lora.safetensors`;
  await expectRefusal(await archive({ name, content: lora }), /lora\.safetensors not found/);
});

describe('refused, with nothing left:', () => {
  test.each<[string, Part[], string | RegExp]>([
    ['a whole network', [{ name: 'unet.safetensors', content: lora }], /whole trained network/],
    ['nothing that is a LoRA', [{ name: 'embeddings.pti', content: lora }], 'lora.safetensors not found'],
    ['a folder of that name', [{ name: 'lora.safetensors', type: 'directory' }], 'lora.safetensors not found'],
    ['a symbolic link', [{ name: 'lora.safetensors', type: 'symlink', linkname: '/etc/passwd' }], /which is a symlink/],
    ['a hard link', [{ name: 'lora.safetensors', type: 'link', linkname: '../../secret' }], /which is a link/],
    ['a device', [{ name: 'lora.safetensors', type: 'character-device' }], /which is a character-device/],
    [
      'a pipe beside it',
      [
        { name: 'lora.safetensors', content: lora },
        { name: 'p', type: 'fifo' },
      ],
      /which is a fifo/,
    ],
    ['a path upward', [{ name: '../lora.safetensors', content: lora }], /path that leads out of it/],
    ['a path upward beside it', [{ name: 'lora.safetensors', content: lora }, { name: 'a/../../b' }], /leads out/],
    ['an absolute path', [{ name: '/lora.safetensors', content: lora }], /path that leads out of it/],
    ['a path of Windows', [{ name: '..\\lora.safetensors', content: lora }], /path that leads out of it/],
    [
      'twice',
      [
        { name: 'lora.safetensors', content: lora },
        { name: './lora.safetensors', content: lora },
      ],
      /twice/,
    ],
    [
      'a sparse file',
      [{ name: 'lora.safetensors', content: lora, pax: { 'GNU.sparse.major': '1' } as never }],
      /as a sparse file/,
    ],
    [
      'a size that PAX makes up',
      [{ name: 'lora.safetensors', content: lora, pax: { size: '99999999' } as never }],
      /damaged/,
    ],
    [
      'more entries than anybody packs',
      Array.from({ length: 1001 }, (_, i) => ({ name: `f${i}` })),
      /more than 1000 entries/,
    ],
  ])('%s', async (_, parts, message) => {
    await expectRefusal(await archive(...parts), message);
  });

  test.each<[string, (whole: Buffer) => Buffer, RegExp]>([
    ['cut short in its content', (whole) => whole.subarray(0, 512 + 700), /damaged/],
    [
      'cut short in a header',
      (whole) => Buffer.concat([whole.subarray(0, 512 + 2560), whole.subarray(0, 300)]),
      /damaged/,
    ],
    [
      'with a wrong checksum',
      (whole) => Buffer.concat([whole.subarray(0, 20), Buffer.from('x'), whole.subarray(21)]),
      /damaged/,
    ],
    ['with entries of no known kind', (whole) => ofKind(whole, 'S'), /which is a kind of entry that is not known/],
    ['gzip', (whole) => gzipSync(whole), /no LoRA but a gzip file: archives are read uncompressed/],
    ['a gzip bomb', () => gzipSync(Buffer.alloc(50_000_000)), /a gzip file/],
    ['a web page', () => Buffer.from('<!doctype html><title>Sign in</title>'), /no LoRA but a web page/],
    ['a zip', () => Buffer.from('PK\x03\x04....'), /zip file or a PyTorch file/],
    ['a pickle', () => Buffer.from('\x80\x02}q\x00.', 'latin1'), /a PyTorch file/],
    ['empty', () => Buffer.alloc(0), /a file of another kind/],
    ['zeros alone', () => Buffer.alloc(10_240), /a file of another kind/],
  ])('an archive that is %s', async (_, change, message) => {
    const path = await archive({ name: 'lora.safetensors', content: lora });
    await writeFile(path, change(await readFile(path)));
    await expectRefusal(path, message);
  });
});

/** The first entry with another type flag and the checksum that belongs to it. */
function ofKind(whole: Buffer, flag: string): Buffer {
  const changed = Buffer.from(whole);
  changed.write(flag, 156, 'latin1');
  changed.fill(' ', 148, 156);
  const sum = changed.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  changed.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return changed;
}

test.each(['alone', 'in an archive'])('a header that would hold everybody up while it is read: %s', async (where) => {
  const prefix = Buffer.alloc(16, '{');
  prefix.writeBigUInt64LE(17n * 2n ** 20n);
  const alone = join(folder, 'huge');
  await writeFile(alone, prefix);
  const path = where === 'alone' ? alone : await archive({ name: 'lora.safetensors', content: prefix });
  await expect(take(path)).rejects.toThrow(/^custom_lora_url: the header of lora\.safetensors is larger than 16 MiB/);
});

test('a file without an archive is left where it is', async () => {
  const path = join(folder, 'plain');
  await writeFile(path, Buffer.concat([Buffer.from([2, 0, 0, 0, 0, 0, 0, 0]), Buffer.from('{}')]));
  expect(await take(path)).toBe(path);
  expect(existsSync(destination())).toBe(false);
});
