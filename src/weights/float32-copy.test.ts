import { mkdir, mkdtemp, readdir, readFile, realpath, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { pickle, tensor, text, torchZip } from '../../test/support/torch-files.ts';
import { float32Folder } from './float32-copy.ts';
import { openNetworkFiles, readNetworkConfig } from './network-files.ts';
import { readTensor } from './read-tensor.ts';
import { readWeightFile } from './weight-formats.ts';
import { type TensorToWrite, writeSafetensors } from './write-safetensors.ts';

let root: string;
let folder: string;
let cache: string;
beforeEach(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'float32-')));
  folder = join(root, 'repository');
  cache = join(root, 'cache');
  await mkdir(join(folder, 'unet'), { recursive: true });
  await writeFile(join(folder, 'unet', 'config.json'), '{"a":1}');
});
afterEach(() => rm(root, { recursive: true }));

const file = 'unet/diffusion_pytorch_model.safetensors';
const half: TensorToWrite = { dtype: 'F16', shape: [3], bytes: new Uint8Array([0, 0x3c, 0, 0xc0, 1, 0]) };
const brain: TensorToWrite = { dtype: 'BF16', shape: [1], bytes: new Uint8Array([0x60, 0xc0]) };
const narrow: TensorToWrite = { dtype: 'F8_E4M3', shape: [3], bytes: new Uint8Array([0x38, 0xc4, 1]) };
const narrower: TensorToWrite = { dtype: 'F8_E5M2', shape: [2], bytes: new Uint8Array([0x3c, 0xc2]) };
const whole: TensorToWrite = { dtype: 'F32', shape: [1], bytes: new Uint8Array([0, 0, 128, 63]) };
const count: TensorToWrite = { dtype: 'I64', shape: [1], bytes: new Uint8Array([1, 1, 0, 0, 0, 0, 0, 0]) };

async function write(name: string, tensors: Record<string, TensorToWrite>): Promise<void> {
  await writeSafetensors(join(folder, name), new Map(Object.entries(tensors)));
}

async function values(path: string): Promise<Record<string, unknown[]>> {
  const entries = [...(await readWeightFile(path))].map(
    async ([name, reference]): Promise<[string, unknown[]]> => [name, [...(await readTensor(reference)).data]],
  );
  return Object.fromEntries(await Promise.all(entries));
}

test('a folder of float32 files is used as it is', async () => {
  await write(file, { whole, count });
  expect(await float32Folder(folder, [file], cache)).toBe(folder);
  await expect(stat(cache)).rejects.toThrow(/ENOENT/);
});

test('halves of both kinds become the same numbers in float32, the rest stays', async () => {
  await write('unet/diffusion_pytorch_model.fp16.safetensors', { half, brain, whole, count });
  await write('other.safetensors', { whole });
  await writeFile(join(folder, 'detector.onnx'), 'not weights');
  const converted: string[] = [];
  const files = [file, 'other.safetensors', 'detector.onnx', 'unet/config.json'];
  const copy = await float32Folder(folder, files, cache, (name) => converted.push(name));
  expect(converted).toEqual([file]);
  const tensors = await readWeightFile(join(copy, file));
  expect([...tensors.values()].map(({ dtype }) => dtype).sort()).toEqual(['F32', 'F32', 'F32', 'I64']);
  const expected = { half: [1, -2, 2 ** -24], brain: [-3.5], whole: [1], count: [257n] };
  expect(await values(join(copy, file))).toEqual(expected);

  // What needs no conversion is not copied; the configuration is.
  expect(await realpath(join(copy, 'other.safetensors'))).toBe(join(folder, 'other.safetensors'));
  expect(await readFile(join(copy, 'detector.onnx'), 'utf8')).toBe('not weights');
  expect((await openNetworkFiles(join(copy, 'unet'), 'diffusion_pytorch_model')).config).toEqual({ a: 1 });
  expect((await readdir(join(copy, 'unet'))).sort()).toEqual(['config.json', 'diffusion_pytorch_model.safetensors']);
});

test('floats of eight bits become the same numbers too', async () => {
  await write(file, { narrow, narrower });
  const copy = await float32Folder(folder, [file], cache);
  expect(copy).not.toBe(folder);
  const tensors = await readWeightFile(join(copy, file));
  expect([...tensors.values()].map(({ dtype }) => dtype)).toEqual(['F32', 'F32']);
  expect(await values(join(copy, file))).toEqual({ narrow: [1, -3, 2 ** -9], narrower: [1, -3] });
});

test('a copy is made once, and again when the file has changed', async () => {
  await write(file, { half });
  const converted: string[] = [];
  const run = () => float32Folder(folder, [file], cache, (name) => converted.push(name));
  const copy = await run();
  const before = await stat(join(copy, file));
  expect(await run()).toBe(copy);
  expect((await stat(join(copy, file))).mtimeMs).toBe(before.mtimeMs);
  expect(converted).toHaveLength(1);

  await write(file, { half: { ...half, bytes: new Uint8Array([0, 0x40, 0, 0xc0, 1, 0]) } });
  await utimes(join(folder, file), 1, 2);
  expect(await run()).toBe(copy);
  expect((await values(join(copy, file))).half).toEqual([2, -2, 2 ** -24]);
  expect(converted).toHaveLength(2);

  // A copy that is damaged is not trusted.
  await writeFile(join(copy, file), (await readFile(join(copy, file))).subarray(0, 20));
  await run();
  expect((await values(join(copy, file))).half).toEqual([2, -2, 2 ** -24]);
});

test('where it cannot be written, the file and the remedy are named', async () => {
  await write(file, { half });
  await writeFile(cache, 'no folder');
  const failed = float32Folder(folder, [file], cache);
  await expect(failed).rejects.toThrow(
    /diffusion_pytorch_model\.safetensors could not be converted .* \(ENOTDIR\)\. .* make room/,
  );
});

test('two at once make one whole copy', async () => {
  await write(file, { half });
  const [one, other] = await Promise.all([float32Folder(folder, [file], cache), float32Folder(folder, [file], cache)]);
  expect(one).toBe(other);
  expect((await values(join(one, file))).half).toEqual([1, -2, 2 ** -24]);
  expect((await readdir(join(one, 'unet'))).filter((name) => name.endsWith('.part'))).toEqual([]);
});

test('a file that PyTorch saved is converted too, its transposed matrices put in order', async () => {
  const storage = new Uint8Array(new Uint16Array([0x3c00, 0x4000, 0x4200, 0x4400, 0x4500, 0x4600]).buffer);
  // [3, 2] by steps of [1, 3]: 1 4, 2 5, 3 6
  const matrix = tensor('0', 6, [3, 2], [1, 3]).toString('latin1').replace('FloatStorage', 'HalfStorage');
  await writeFile(join(folder, 'a.bin'), torchZip(pickle('}', text('m'), matrix, 's'), { 0: storage }));
  const copy = await float32Folder(folder, ['a.bin'], cache);
  expect([...(await readWeightFile(join(copy, 'a.bin'))).values()][0]).toMatchObject({ shape: [3, 2], dtype: 'F32' });
  expect(await values(join(copy, 'a.bin'))).toEqual({ m: [1, 4, 2, 5, 3, 6] });
});

test('a network is opened from whatever of its files is there', async () => {
  const open = async () => (await openNetworkFiles(join(folder, 'unet'), 'diffusion_pytorch_model')).weights;
  const has = async (name: string) => (await open()).has(name);
  const data = pickle('}', text('pickled'), tensor('0', 1, [1], [1]), 's');
  await writeFile(join(folder, 'unet', 'diffusion_pytorch_model.bin'), torchZip(data, { 0: new Uint8Array(4) }));
  expect(await has('pickled')).toBe(true);

  await write('unet/diffusion_pytorch_model.fp16.safetensors', { half });
  expect(await has('half')).toBe(true);

  const index = join(folder, `${file}.index.json`);
  await writeFile(index, JSON.stringify({ weight_map: { whole: 'part.safetensors' } }));
  expect(await has('half')).toBe(true); // its part is not there yet
  await write('unet/part.safetensors', { whole });
  expect(await has('whole')).toBe(true);

  await write(file, { count });
  expect(await has('count')).toBe(true);
});

test("transformers' name of a pickled file", async () => {
  const data = pickle('}', text('pickled'), tensor('0', 1, [1], [1]), 's');
  await writeFile(join(folder, 'unet', 'pytorch_model.bin'), torchZip(data, { 0: new Uint8Array(4) }));
  expect((await openNetworkFiles(join(folder, 'unet'), 'model')).weights.has('pickled')).toBe(true);
});

test('a base in one file has a copy of its own, beside that of its folders, with the configurations that are there now', async () => {
  await write(file, { half });
  const folders = await float32Folder(folder, [file], cache);
  await write('checkpoint.safetensors', { half });
  const files = ['checkpoint.safetensors', 'unet/config.json'];
  const copy = await float32Folder(folder, files, cache);
  expect(copy).not.toBe(folders);
  expect(await values(join(copy, 'checkpoint.safetensors'))).toEqual({ half: [1, -2, 2 ** -24] });
  expect(await readdir(join(copy, 'unet'))).toEqual(['config.json']);
  expect(await readNetworkConfig(join(copy, 'unet'))).toEqual({ a: 1 });
  await rm(join(folder, 'unet', 'config.json'));
  await float32Folder(folder, ['checkpoint.safetensors'], cache);
  expect(await readNetworkConfig(join(copy, 'unet'))).toMatchObject({ addition_embed_type: 'text_time' });
  await rm(join(folder, 'checkpoint.safetensors'));
  expect(await float32Folder(folder, [file], cache)).toBe(folders);
});
