import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pickle, tensor, text, torchLegacy, torchZip } from '../../test/support/torch-files.ts';
import { contentOf, fixture, recordedContent } from '../../test/support/weight-content.ts';
import { readTensor } from './read-tensor.ts';
import { readWeightFile } from './weight-formats.ts';

let folder: string;
beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'torch-')));
});
afterAll(() => rm(folder, { recursive: true }));

async function read(bytes: Uint8Array) {
  const path = join(folder, 'crafted.pth');
  await writeFile(path, bytes);
  return await readWeightFile(path);
}

test.each(['zip.pth', 'zip-protocol-4.pth', 'legacy.pth'])(
  'every type, view and order of axes that PyTorch saves: %s',
  async (name) => {
    const tensors = await readWeightFile(fixture(name));
    expect(await contentOf(tensors)).toEqual(recordedContent('state.json'));
    // No copy: each lies in the file itself, and only what is not row by row says so.
    const file = await realpath(fixture(name));
    for (const [key, { name: own, ...found }] of tensors) {
      expect(own).toBe(key);
      expect(found.file).toBe(file);
      const axes = { 'linear.transposed': [1, 0], permuted: [1, 2, 0], channels_last: [0, 2, 3, 1] }[key];
      expect([key, found.axes]).toEqual([key, axes]);
    }
    expect(tensors.get('tied.a')!.offset).toBe(tensors.get('tied.b')!.offset);
  },
);

test("of a training run's checkpoint only the weights are taken", async () => {
  expect(await contentOf(await readWeightFile(fixture('lightning.ckpt')))).toEqual(recordedContent('lightning.json'));
});

test('maps in a map are reached by their names', async () => {
  expect(await contentOf(await readWeightFile(fixture('maps.bin')))).toEqual(recordedContent('maps.json'));
});

test('views with gaps and repeats are refused, with what to do', async () => {
  await expect(readWeightFile(fixture('columns.pth'))).rejects.toThrow(
    /columns\.pth cannot be used: its tensor "columns" is a view .* \(\[4, 3\] by steps of \[6, 1\]\)\. Save it again/,
  );
  await expect(readWeightFile(fixture('expanded.pth'))).rejects.toThrow(/"expanded" is a view with gaps or repeats/);
});

const values = new Float32Array([1, 2, 3, 4, 5, 6]);
const bytes = new Uint8Array(values.buffer);

test('a crafted file, against which the hostile ones are measured, is read', async () => {
  const data = pickle('}', text('a'), tensor('0', 6, [2, 2], [2, 1], 2), 's');
  for (const file of [torchZip(data, { 0: bytes }), torchLegacy(data, ['0'], [bytes])]) {
    const tensors = await read(file);
    expect([...tensors.keys()]).toEqual(['a']);
    expect(await readTensor(tensors.get('a')!)).toEqual({ type: 'float32', dims: [2, 2], data: values.slice(2) });
  }
});

test('maps and texts as Python 2 wrote them', async () => {
  // OrderedDict([['a', tensor]]), with SHORT_BINSTRING for the name.
  const data = pickle('ccollections\nOrderedDict\n(](](U\x01a', tensor('0', 6, [6], [1]), 'eetR');
  expect([...(await read(torchLegacy(data, ['0'], [bytes]))).keys()]).toEqual(['a']);
});

test('names are texts and numbers on the way to a tensor', async () => {
  const inner = ['(', text('b'), tensor('0', 6, [6], [1]), 'K\x07', tensor('0', 6, [1], [1]), 'u'] as const;
  // {'a': [None, {'b': …, 7: …}], 'epoch': 3}
  const data = pickle('}(', text('a'), '](N}', ...inner, 'e', text('epoch'), 'K\x03u');
  expect([...(await read(torchZip(data, { 0: bytes }))).keys()]).toEqual(['a.1.b', 'a.1.7']);
});
