import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { locateWeights } from './locate.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'locate-'));
});
afterEach(() => rm(folder, { recursive: true }));

const canny = {
  repository: 'lllyasviel/sd-controlnet-canny',
  mirrors: ['elsewhere/canny'],
  files: ['config.json', 'diffusion_pytorch_model.safetensors'],
  licence: 'openrail',
  commercialUse: true,
};

function settings(weights: 'auto' | 'mini' | 'full') {
  return { weights, weightsPath: join(folder, 'plain'), hfHome: join(folder, 'hf'), home: join(folder, 'home') };
}

async function put(...path: string[]): Promise<void> {
  const file = join(folder, ...path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, '');
}

test('a plain folder is preferred to the Hugging Face cache, which consists of symbolic links', async () => {
  const cache = ['hf', 'hub', 'models--lllyasviel--sd-controlnet-canny'];
  await put(...cache, 'blobs', 'one');
  await put(...cache, 'snapshots', 'abc', 'config.json');
  await mkdir(join(folder, ...cache, 'refs'));
  await writeFile(join(folder, ...cache, 'refs', 'main'), 'abc\n');
  const link = join(folder, ...cache, 'snapshots', 'abc', 'diffusion_pytorch_model.safetensors');
  await symlink('../../blobs/one', link);
  const cached = { set: 'full', folders: [join(folder, ...cache, 'snapshots', 'abc')] };
  expect(await locateWeights([canny], settings('auto'))).toEqual(cached);

  await put('plain', 'lllyasviel', 'sd-controlnet-canny', 'config.json');
  expect(await locateWeights([canny], settings('full'))).toEqual(cached);
  await put('plain', 'lllyasviel', 'sd-controlnet-canny', 'diffusion_pytorch_model.fp16.safetensors');
  const plain = { set: 'full', folders: [join(folder, 'plain', 'lllyasviel', 'sd-controlnet-canny')] };
  expect(await locateWeights([canny], settings('full'))).toEqual(plain);

  // A download under way leaves links to blobs that are not there yet.
  await rm(join(folder, 'plain'), { recursive: true });
  await rm(join(folder, ...cache, 'blobs', 'one'));
  await expect(locateWeights([canny], settings('full'))).rejects.toThrow(/no diffusion_pytorch_model\.safetensors/);
});

test('a mirror serves when the repository itself is not there', async () => {
  for (const file of canny.files) await put('plain', 'elsewhere', 'canny', file);
  expect((await locateWeights([canny], settings('auto'))).folders).toEqual([join(folder, 'plain/elsewhere/canny')]);
});

test('missing full weights are listed with every place that was looked at', async () => {
  await put('plain', 'elsewhere', 'canny', 'config.json');
  const failed = locateWeights([canny], settings('full'));
  await expect(failed).rejects.toThrow(/plain\/lllyasviel\/sd-controlnet-canny \(no config\.json, diffusion_/);
  await expect(failed).rejects.toThrow(/plain\/elsewhere\/canny \(no diffusion_/);
  await expect(failed).rejects.toThrow(/hf\/hub\/models--lllyasviel--sd-controlnet-canny/);
  await expect(failed).rejects.toThrow(/DARKROOM_WEIGHTS_PATH/);
});

test('the mini set serves all repositories when one is not complete, written once and whole', async () => {
  for (const file of canny.files) await put('plain', canny.repository, file);
  const base = { ...canny, repository: 'a/mirror', mirrors: ['runwayml/stable-diffusion-v1-5'] };
  const [first, second] = await Promise.all([
    locateWeights([base, canny], settings('auto')),
    locateWeights([base, canny], settings('mini')),
  ]);
  expect(first).toEqual(second);
  expect(first.set).toBe('mini');
  expect(first.folders[0]).toMatch(/home\/weights\/mini\/[0-9a-f]{12}\/runwayml\/stable-diffusion-v1-5$/);
  for (const network of ['unet', 'vae', 'text_encoder']) {
    expect(await readdir(join(first.folders[0]!, network))).toHaveLength(2);
  }
  const file = join(first.folders[1]!, 'diffusion_pytorch_model.safetensors');
  const before = await readFile(file);
  await rm(file);
  await locateWeights([canny], settings('mini'));
  expect(before.equals(await readFile(file))).toBe(true);
});

test('a repository that the mini set does not know is named', async () => {
  const other = { ...canny, repository: 'a/b', mirrors: [] };
  await expect(locateWeights([other], settings('mini'))).rejects.toThrow(/no weights for a\/b/);
});
