import { mkdtemp, readdir, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WeightError } from '../base/errors.ts';
import { readTensor } from './read-tensor.ts';
import { readSafetensors } from './safetensors.ts';
import { writeSafetensors } from './write-safetensors.ts';

let folder: string;
beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'safetensors-')));
});
afterAll(() => rm(folder, { recursive: true }));

async function write(header: unknown, data: number, headerLength?: bigint): Promise<string> {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(headerLength ?? BigInt(json.length));
  const path = join(folder, 'hostile.safetensors');
  await writeFile(path, Buffer.concat([length, json, Buffer.alloc(data, 7)]));
  return path;
}

const four = { dtype: 'F32', shape: [1], data_offsets: [0, 4] };

describe('a header is refused, with the file and the fault in the message, when', () => {
  test.each<[string, RegExp, unknown, number, bigint?]>([
    ['it is longer than the file', /cut short: its header has 5000 bytes, the file 66/, { a: four }, 4, 5000n],
    ['it is longer than any header', /above the limit/, { a: four }, 4, 2n ** 63n],
    ['it is not JSON', /not JSON/, '{"a":', 4],
    ['it is a list', /not a JSON object/, [], 4],
    ['it is JSON nested without end', /not JSON/, '['.repeat(200_000), 4],
    ['a name stands twice', /"a" twice/, `{"a":${JSON.stringify(four)},"\\u0061":${JSON.stringify(four)}}`, 4],
    ['a key stands twice', /"shape" twice/, '{"a":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}}', 4],
    ['metadata holds a number', /__metadata__/, { __metadata__: { epoch: 1 }, a: four }, 4],
    ['a tensor is a number', /not described by an object/, { a: 1 }, 4],
    ['a type is unknown', /unknown type F31/, { a: { ...four, dtype: 'F31' } }, 4],
    ['a type is a property of every object', /unknown type toString/, { a: { ...four, dtype: 'toString' } }, 4],
    ['a type is no text', /type that is not a text/, { a: { ...four, dtype: { toString: 1 } } }, 4],
    [
      'a type is lists without end',
      /type that is not a text/,
      `{"a":{"dtype":${'['.repeat(50_000)}${']'.repeat(50_000)},"shape":[1],"data_offsets":[0,4]}}`,
      4,
    ],
    ['a size is negative', /not a list of sizes/, { a: { ...four, shape: [-1] } }, 4],
    ['a size is not whole', /not a list of sizes/, { a: { ...four, shape: [1.5] } }, 4],
    ['a shape overflows', /too large to count/, { a: { ...four, shape: [2 ** 40, 2 ** 40, 0] } }, 4],
    ['an offset is negative', /not two positions/, { a: { ...four, data_offsets: [-4, 0] } }, 4],
    ['an offset overflows', /not two positions/, { a: { ...four, data_offsets: [0, 2 ** 60] } }, 4],
    ['an end lies before its begin', /ends before it begins/, { a: { ...four, data_offsets: [4, 0] } }, 4],
    ['size and shape disagree', /4 bytes where F32 \[2\] needs 8/, { a: { ...four, shape: [2] } }, 4],
    ['tensors overlap', /"b" overlaps/, { a: four, b: { ...four, data_offsets: [2, 6] } }, 6],
    ['tensors leave a hole', /before its tensor "b"/, { a: four, b: { ...four, data_offsets: [8, 12] } }, 12],
    ['the first tensor does not come first', /before its tensor "a"/, { a: { ...four, data_offsets: [4, 8] } }, 8],
    ['bytes follow the last tensor', /3 bytes after its last tensor/, { a: four }, 7],
  ])('%s', async (_, message, header, data, headerLength) => {
    const path = await write(header, data, headerLength);
    await expect(readSafetensors(path)).rejects.toThrow(message);
    await expect(readSafetensors(path)).rejects.toThrow(path);
    await expect(readSafetensors(path)).rejects.toBeInstanceOf(WeightError);
  });
});

describe('a message stays short when', () => {
  const long = 'x'.repeat(2_000_000);
  test.each<[string, RegExp, unknown]>([
    ['a name is long', /"x{100}…" has a name of 2000000 letters/, { [long]: four }],
    ['a long name stands twice', /"x{100}…" twice/, `{"${long}":1,"${long}":1}`],
    ['a type is long', /unknown type x{100}…/, { a: { ...four, dtype: long } }],
    ['a shape is long', /has 500001 axes/, { a: { ...four, shape: [...new Array(500_000).fill(1), 2] } }],
  ])('%s', async (_, message, header) => {
    const error = await readSafetensors(await write(header, 4)).catch((caught: Error) => caught);
    expect(error).toBeInstanceOf(WeightError);
    expect((error as Error).message).toMatch(message);
    expect((error as Error).message.length).toBeLessThan(500);
  });
});

test('a shape may have as many axes as PyTorch allows', async () => {
  const shape = new Array(64).fill(1);
  const { tensors } = await readSafetensors(await write({ a: { ...four, shape } }, 4));
  expect(tensors.get('a')!.shape).toEqual(shape);
});

test('a truncated file is said to be truncated, and what to do', async () => {
  const path = await write({ a: { dtype: 'F16', shape: [1000], data_offsets: [0, 2000] } }, 1500);
  await expect(readSafetensors(path)).rejects.toThrow(
    /is cut short: its header names \d+ bytes, the file has \d+\. Download it again\./,
  );
});

test('an empty file, a Git LFS pointer and a missing file are told apart', async () => {
  const path = join(folder, 'model.safetensors');
  await writeFile(path, '');
  await expect(readSafetensors(path)).rejects.toThrow(/0 bytes, too few/);
  await writeFile(path, 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n');
  await expect(readSafetensors(path)).rejects.toThrow(/Git LFS pointer/);
  await expect(readSafetensors(join(folder, 'absent'))).rejects.toThrow(/cannot be opened \(ENOENT\)/);
  await expect(readSafetensors(folder)).rejects.toThrow(/it is not a file/);
});

test('what is written is read back, through a symbolic link, from its real place', async () => {
  const path = join(folder, 'written.safetensors');
  const pieces = [new Uint8Array([0, 0, 128, 63]), new Uint8Array([0, 0, 0, 192])];
  await writeSafetensors(
    path,
    new Map([
      ['whole', { dtype: 'F32', shape: [1, 2], bytes: pieces }],
      ['half', { dtype: 'F16', shape: [3], bytes: new Uint8Array([0, 0x3c, 0, 0xc0, 1, 0]) }],
      ['brain', { dtype: 'BF16', shape: [], bytes: new Uint8Array([0x60, 0xc0]) }],
      ['double', { dtype: 'F64', shape: [], bytes: new Uint8Array([0, 0, 0, 0, 0, 0, 8, 64]) }],
      ['byte', { dtype: 'U8', shape: [1], bytes: new Uint8Array([7]) }],
      ['none', { dtype: 'F32', shape: [0, 4], bytes: new Uint8Array() }],
      ['count', { dtype: 'I64', shape: [1], bytes: new Uint8Array([1, 1, 0, 0, 0, 0, 0, 0]) }],
    ]),
    { format: 'pt' },
  );
  const link = join(folder, 'link.safetensors');
  await symlink(path, link);
  const { file, tensors, metadata } = await readSafetensors(link);
  expect(file).toBe(path);
  expect(metadata).toEqual({ format: 'pt' });
  expect([...tensors.keys()]).toEqual(['whole', 'half', 'brain', 'double', 'byte', 'none', 'count']);
  expect(tensors.get('whole')!.offset % 8).toBe(0);
  const read = async (name: string) => await readTensor(tensors.get(name)!);
  expect(await read('whole')).toEqual({ type: 'float32', dims: [1, 2], data: new Float32Array([1, -2]) });
  expect((await read('half')).data).toEqual(new Float32Array([1, -2, 2 ** -24]));
  expect(await read('brain')).toEqual({ type: 'float32', dims: [], data: new Float32Array([-3.5]) });
  expect(await read('double')).toEqual({ type: 'float32', dims: [], data: new Float32Array([3]) });
  await expect(read('byte')).rejects.toThrow(/The tensor "byte" of .* has the type U8, which cannot be read here/);
  expect((await read('none')).data).toHaveLength(0);
  expect((await read('count')).data).toEqual(new BigInt64Array([257n]));
});

test('a file that cannot be completed leaves nothing behind', async () => {
  const inside = await mkdtemp(join(folder, 'partial-'));
  const tensors = new Map([['a', { dtype: 'F32' as const, shape: [2], bytes: [new Uint8Array(4)] }]]);
  // Again and again: it fails while the file is still being opened.
  for (let round = 0; round < 100; round++) {
    await expect(writeSafetensors(join(inside, 'a.safetensors'), tensors)).rejects.toThrow(/4 bytes where 8/);
    expect(await readdir(inside)).toEqual([]);
  }
});
