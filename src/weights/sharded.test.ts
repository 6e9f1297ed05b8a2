import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { pickle, tensor, text, torchZip } from '../../test/support/torch-files.ts';
import { WeightError } from '../base/errors.ts';
import { readTensor } from './read-tensor.ts';
import { readWeightFile } from './weight-formats.ts';
import { writeSafetensors } from './write-safetensors.ts';

let folder: string;
let index: string;
beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'sharded-')));
  index = join(folder, 'model.safetensors.index.json');
  await part('model-1.safetensors', { a: 1, b: 2 });
  await part('model-2.safetensors', { c: 3 });
});
afterEach(() => rm(folder, { recursive: true }));

async function part(file: string, values: Record<string, number>): Promise<void> {
  const tensors = Object.entries(values).map(([name, value]) => {
    const bytes = new Uint8Array(Float32Array.of(value).buffer);
    return [name, { dtype: 'F32' as const, shape: [1], bytes }] as const;
  });
  await writeSafetensors(join(folder, file), new Map(tensors));
}

async function open(map: unknown, metadata: unknown = { total_size: 12 }) {
  await writeFile(index, JSON.stringify({ metadata, weight_map: map }));
  return await readWeightFile(index);
}

const good = { c: 'model-2.safetensors', a: 'model-1.safetensors', b: 'model-1.safetensors' };

test('the parts together are one file', async () => {
  const tensors = await open(good);
  expect([...tensors.keys()].sort()).toEqual(['a', 'b', 'c']);
  expect(tensors.get('c')!.file).toBe(join(folder, 'model-2.safetensors'));
  for (const [name, value] of Object.entries({ a: 1, b: 2, c: 3 })) {
    expect((await readTensor(tensors.get(name)!)).data[0]).toBe(value);
  }
});

test('parts may be of any format', async () => {
  const data = pickle('}', text('a'), tensor('0', 1, [1], [1]), 's');
  await writeFile(join(folder, 'model-1.bin'), torchZip(data, { 0: new Uint8Array(4) }));
  expect([...(await open({ a: 'model-1.bin', c: 'model-2.safetensors' })).keys()]).toEqual(['a', 'c']);
});

describe('an index is refused', () => {
  test.each<[string, unknown, RegExp]>([
    [
      'when a part is missing',
      { ...good, d: 'model-3.safetensors' },
      /model-3\.safetensors cannot be opened \(ENOENT\)/,
    ],
    ['when a part lacks a tensor', { ...good, d: 'model-2.safetensors' }, /looks for "d" in model-2\.safetensors/],
    ['when it does not know a tensor', { a: good.a, c: good.c }, /does not know "b", which lies in model-1/],
    ['when a tensor lies elsewhere', { ...good, c: 'model-1.safetensors' }, /looks for "c" in model-1/],
    [
      'when it leads out of its folder',
      { ...good, c: '../model-2.safetensors' },
      /"\.\.\/model-2\.safetensors", which is/,
    ],
    ['when it leads anywhere', { ...good, c: '/etc/passwd' }, /"\/etc\/passwd", which is not a file beside it/],
    ['when it leads down', { ...good, c: 'sub/model-2.safetensors' }, /not a file beside it/],
    ['when a file is a number', { ...good, c: 2 }, /in 2, which is not a file/],
    ['when it names itself', { ...good, c: 'model.safetensors.index.json' }, /is an index and not a part of one/],
    ['when it is empty', {}, /weight_map is empty/],
    ['when its map is a list', ['a'], /without a weight_map/],
    ['when it has no map', undefined, /without a weight_map/],
  ])('%s', async (_, map, message) => {
    const failed = open(map);
    await expect(failed).rejects.toThrow(message);
    await expect(failed).rejects.toThrow(folder);
    await expect(failed).rejects.toBeInstanceOf(WeightError);
  });

  test('when two parts hold a tensor', async () => {
    await part('model-2.safetensors', { c: 3, a: 4 });
    await expect(open(good)).rejects.toThrow(/looks in model-1\.safetensors for "a", which lies in model-2/);
  });

  test('when it is not JSON, or names a tensor twice', async () => {
    await writeFile(index, '{"weight_map": {');
    await expect(readWeightFile(index)).rejects.toThrow(/not JSON/);
    await writeFile(index, '{"weight_map": {"a": "model-2.safetensors", "a": "model-1.safetensors"}}');
    await expect(readWeightFile(index)).rejects.toThrow(/names "a" twice/);
  });

  test('when a file is lists without end', async () => {
    await writeFile(index, `{"weight_map": {"a": ${'['.repeat(50_000)}${']'.repeat(50_000)}}}`);
    const failed = readWeightFile(index);
    await expect(failed).rejects.toThrow(/looks for "a" in lists or maps, which is not a file beside it/);
    await expect(failed).rejects.toBeInstanceOf(WeightError);
  });

  test('when a part is a folder', async () => {
    await mkdir(join(folder, 'model-3.safetensors'));
    await expect(open({ ...good, d: 'model-3.safetensors' })).rejects.toThrow(/it is not a file/);
  });
});

test('an index damaged at random ends in its three tensors or in a WeightError', async () => {
  const whole = Buffer.from(JSON.stringify({ metadata: { total_size: 12 }, weight_map: good }));
  for (let at = 0; at < whole.length; at++) {
    for (const value of [whole[at]! ^ 1, 0x22, 0x7d, 0x2e]) {
      const bytes = Buffer.from(whole);
      bytes[at] = value;
      await writeFile(index, bytes);
      const names = await readWeightFile(index).then(
        (tensors) => [...tensors.keys()].sort(),
        (error: unknown) => {
          expect(error).toBeInstanceOf(WeightError);
          expect((error as Error).message).toContain(folder);
          return ['a', 'b', 'c'];
        },
      );
      expect(names).toEqual(['a', 'b', 'c']);
    }
  }
});
