import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { WeightRepository } from '../catalog/model.ts';
import { repositoryState, wayToGet } from './inventory.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'inventory-'));
});
afterEach(() => rm(folder, { recursive: true }));

const unet = { path: 'unet/diffusion_pytorch_model.safetensors', bytes: 3_438_167_540, sha256: '19da7aaa' };
const base = {
  repository: 'stable-diffusion-v1-5/stable-diffusion-v1-5',
  mirrors: ['runwayml/stable-diffusion-v1-5'],
  files: ['unet/config.json', unet],
  licence: 'CreativeML OpenRAIL-M',
  commercialUse: true,
};

const places = () => ({ weightsPath: join(folder, 'plain'), hfHome: join(folder, 'hf') });

async function put(path: string, bytes: number): Promise<void> {
  await mkdir(dirname(join(folder, path)), { recursive: true });
  await writeFile(join(folder, path), Buffer.alloc(bytes));
}

test('of a repository that is nowhere everything is missing', async () => {
  const state = await repositoryState(base, places());
  expect(state.files).toEqual([{ path: 'unet/config.json' }, unet]);
  expect(wayToGet(state)).toBe(
    'hf download stable-diffusion-v1-5/stable-diffusion-v1-5 unet/config.json unet/diffusion_pytorch_model.safetensors',
  );
});

test('a file may be listed as one variant and lie there as another', async () => {
  const listed = {
    network: 'unet/diffusion_pytorch_model.fp16.safetensors',
    encoder: 'text_encoder/pytorch_model.bin',
  };
  const repository: WeightRepository = { ...base, repository: 'any/variants', files: Object.values(listed) };
  await put('plain/any/variants/unet/diffusion_pytorch_model.safetensors', 7);
  await put('plain/any/variants/text_encoder/model.safetensors', 9);
  const found = (await repositoryState(repository, places())).files.map((file) => file.found?.bytes);
  expect(found).toEqual([7, 9]);
  await put('plain/any/variants/text_encoder/pytorch_model.bin', 11);
  expect((await repositoryState(repository, places())).files[1]!.found?.bytes).toBe(11);
});

test('the folder that has most of it counts, and variants with their own size', async () => {
  const mirror = 'plain/runwayml/stable-diffusion-v1-5';
  await put(`${mirror}/unet/diffusion_pytorch_model.fp16.safetensors`, 300);
  const half = await repositoryState(base, places());
  expect(wayToGet(half)).toBe('hf download stable-diffusion-v1-5/stable-diffusion-v1-5 unet/config.json');
  await put(`${mirror}/unet/config.json`, 20);
  await put('plain/stable-diffusion-v1-5/stable-diffusion-v1-5/unet/config.json', 10);
  const whole = await repositoryState(base, places());
  const found = join(folder, mirror, 'unet');
  expect(whole.folder).toBe(join(folder, mirror));
  expect(whole.files).toEqual([
    { path: 'unet/config.json', found: { path: join(found, 'config.json'), bytes: 20 } },
    { ...unet, found: { path: join(found, 'diffusion_pytorch_model.fp16.safetensors'), bytes: 300 } },
  ]);
  expect(wayToGet(whole)).toBeUndefined();
});

test('one file may stand for all of a base, with configurations beside it', async () => {
  const folderOf = (name: string): string => `plain/any/${name}`;
  const files = ['unet/config.json', 'unet/diffusion_pytorch_model.safetensors', 'scheduler/scheduler_config.json'];
  const xl: WeightRepository = { ...base, repository: 'any/xl', mirrors: [], files, mayBeSingleFile: true };
  await put(`${folderOf('xl')}/unet/config.json`, 2);
  await put(`${folderOf('xl')}/unet/diffusion_pytorch_model.safetensors`, 3);
  expect((await repositoryState(xl, places())).files.map(({ path, found }) => [path, found?.bytes])).toEqual([
    ['unet/config.json', 2],
    ['unet/diffusion_pytorch_model.safetensors', 3],
    ['scheduler/scheduler_config.json', undefined],
  ]);
  await put(`${folderOf('xl')}/checkpoint.safetensors`, 5);
  const state = await repositoryState(xl, places());
  expect(state.files.map(({ path, found }) => [path, found?.bytes])).toEqual([
    ['checkpoint.safetensors', 5],
    ['unet/config.json', 2],
  ]);
  expect(wayToGet(state)).toBeUndefined();
  await put(`${folderOf('other')}/checkpoint.safetensors`, 5);
  const other: WeightRepository = { ...base, repository: 'any/other', files };
  expect((await repositoryState(other, places())).files.every(({ found }) => !found)).toBe(true);
});
