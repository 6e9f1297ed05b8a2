import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { WeightError } from '../base/errors.ts';
import type { WeightRepository } from '../catalog/model.ts';
import { antelopev2 } from '../faces/antelopev2.ts';
import { locateWeights } from './locate.ts';
import { writeSafetensors } from './write-safetensors.ts';

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

function settings(weights: 'auto' | 'mini' | 'full', weightLicences: 'all' | 'commercial' = 'all') {
  return {
    weights,
    weightLicences,
    weightsPath: join(folder, 'plain'),
    hfHome: join(folder, 'hf'),
    home: join(folder, 'home'),
  };
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
  await expect(locateWeights([canny], settings('full'))).rejects.toThrow(
    /lacks (config\.json, )?diffusion_pytorch_model\.safetensors/,
  );
});

test('a mirror serves when the repository itself is not there', async () => {
  for (const file of canny.files) await put('plain', 'elsewhere', 'canny', file);
  expect((await locateWeights([canny], settings('auto'))).folders).toEqual([join(folder, 'plain/elsewhere/canny')]);
});

test('all that is missing is listed at once, with its licence, its size and how to get it', async () => {
  await put('plain', 'elsewhere', 'canny', 'config.json');
  const civitai = {
    repository: 'civitai/toonyou',
    files: [{ path: 'toonyou_beta3.safetensors', bytes: 2_132_625_432 }],
    page: 'https://civitai.com/models/30240?modelVersionId=78775',
    licence: 'CreativeML OpenRAIL-M',
    commercialUse: true,
  };
  const pinned = {
    ...canny,
    repository: 'lllyasviel/ControlNet',
    mirrors: [],
    files: ['annotator/ckpts/network-bsds500.pth', 'annotator/ckpts/mlsd_large_512_fp32.pth'],
    revision: 'e78a8c4a5052a238198043ee5c0cb44e22abb9f7',
  };
  await put('plain', 'lllyasviel', 'ControlNet', 'annotator', 'ckpts', 'mlsd_large_512_fp32.pth');
  await expect(locateWeights([canny, civitai, pinned], settings('full'))).rejects.toThrow(
    new WeightError(
      [
        'Published weights that this prediction needs are not on this disk, and DARKROOM_WEIGHTS is full.',
        'lllyasviel/sd-controlnet-canny (openrail) lacks diffusion_pytorch_model.safetensors. ' +
          'Get it: hf download lllyasviel/sd-controlnet-canny diffusion_pytorch_model.safetensors',
        'civitai/toonyou (CreativeML OpenRAIL-M) lacks toonyou_beta3.safetensors (2.1 GB). ' +
          'Get it: https://civitai.com/models/30240?modelVersionId=78775, ' +
          'saved as <DARKROOM_WEIGHTS_PATH>/civitai/toonyou/toonyou_beta3.safetensors',
        'lllyasviel/ControlNet (openrail) lacks annotator/ckpts/network-bsds500.pth. ' +
          'Get it: hf download lllyasviel/ControlNet annotator/ckpts/network-bsds500.pth ' +
          '--revision e78a8c4a5052a238198043ee5c0cb44e22abb9f7',
        `Looked for in ${join(folder, 'plain')} (DARKROOM_WEIGHTS_PATH) and the Hugging Face cache ${join(folder, 'hf')} (HF_HOME).`,
      ].join('\n'),
    ),
  );
});

test('of a base that may be one file its place is said as well', async () => {
  const xl: WeightRepository = { ...canny, repository: 'any/xl', mayBeSingleFile: true };
  await expect(locateWeights([xl], settings('full'))).rejects.toThrow(
    'any/xl (openrail) lacks config.json, diffusion_pytorch_model.safetensors. Get it: hf download any/xl config.json ' +
      'diffusion_pytorch_model.safetensors. Or save the model in one file as ' +
      '<DARKROOM_WEIGHTS_PATH>/any/xl/checkpoint.safetensors',
  );
  await writeCheckpoint(join(folder, 'plain', 'any', 'xl', 'checkpoint.safetensors'));
  expect(await locateWeights([xl], settings('full'))).toEqual({ set: 'full', folders: [join(folder, 'plain/any/xl')] });
});

const oneTensorOf = {
  UNet: 'model.diffusion_model.input_blocks.0.0.weight',
  'autoencoder (VAE)': 'first_stage_model.decoder.conv_in.weight',
  'first text encoder': 'conditioner.embedders.0.transformer.text_model.embeddings.token_embedding.weight',
  'second text encoder': 'conditioner.embedders.1.model.token_embedding.weight',
};

async function writeCheckpoint(path: string, lacking: readonly string[] = []): Promise<void> {
  const present = Object.entries(oneTensorOf).flatMap(([network, name]) => (lacking.includes(network) ? [] : [name]));
  // Half of the autoencoder does not make one.
  const names = [...present, 'first_stage_model.encoder.conv_in.bias'];
  await mkdir(dirname(path), { recursive: true });
  const tensor = { dtype: 'F32', shape: [1], bytes: new Uint8Array(4) } as const;
  await writeSafetensors(path, new Map(names.map((name) => [name, tensor])));
}

const lacks = [...Object.keys(oneTensorOf).map((network) => [network]), ['autoencoder (VAE)', 'second text encoder']];

test.each(lacks)('a base in one file that lacks %s %s is refused before any work', async (...lacking) => {
  const xl: WeightRepository = { ...canny, repository: 'any/xl', mayBeSingleFile: true };
  const checkpoint = join(folder, 'plain', 'any', 'xl', 'checkpoint.safetensors');
  await writeCheckpoint(checkpoint, lacking);
  for (const weights of ['full', 'auto'] as const) {
    await expect(locateWeights([xl], settings(weights))).rejects.toThrow(
      `The checkpoint ${checkpoint} has no ${lacking.join(', no ')}. A Stable Diffusion XL in one file holds`,
    );
  }
});

test('the revision that is asked for is found beside a newer one', async () => {
  const cache = ['hf', 'hub', 'models--lllyasviel--sd-controlnet-canny'];
  await mkdir(join(folder, ...cache, 'refs'), { recursive: true });
  await writeFile(join(folder, ...cache, 'refs', 'main'), 'newer');
  for (const file of canny.files) await put(...cache, 'snapshots', 'older', file);
  expect((await locateWeights([{ ...canny, revision: 'older' }], settings('full'))).folders).toEqual([
    join(folder, ...cache, 'snapshots', 'older'),
  ]);
  await expect(locateWeights([canny], settings('full'))).rejects.toThrow(WeightError);
});

test('the mini set serves all repositories when one is not complete, written once and whole', async () => {
  for (const file of canny.files) await put('plain', canny.repository, file);
  const base = { ...canny, repository: 'a/mirror', mirrors: ['runwayml/stable-diffusion-v1-5'] };
  const [first, second] = await Promise.all([
    locateWeights([base, canny], settings('auto')),
    locateWeights([base, canny], settings('mini')),
  ]);
  expect(first.folders).toEqual(second.folders);
  expect([first.set, second.set]).toEqual(['mini', 'mini']);
  expect(first.reason).toBe('Not on this disk: a/mirror.');
  expect(second.reason).toBe('DARKROOM_WEIGHTS is mini.');
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

test('where only commercial licences are asked for, other published weights are refused and the mini set is not', async () => {
  const pose = { ...canny, repository: 'lllyasviel/Annotators', licence: 'academic use only', commercialUse: false };
  const refusal = /lllyasviel\/Annotators \(academic use only\)\. DARKROOM_WEIGHT_LICENCES is commercial/;
  await expect(locateWeights([canny, pose], settings('full', 'commercial'))).rejects.toThrow(refusal);
  await expect(locateWeights([canny], settings('full', 'commercial'))).rejects.toThrow(/not on this disk/);
  for (const file of canny.files) await put('plain', 'elsewhere', 'canny', file);
  await expect(locateWeights([pose], settings('auto', 'commercial'))).rejects.toThrow(refusal);
  expect((await locateWeights([pose], settings('auto'))).set).toBe('full');
  expect((await locateWeights([canny], settings('mini', 'commercial'))).set).toBe('mini');
});

test('where fetching what is missing would be in vain, because its licence is refused, the mini set runs and says so', async () => {
  const { set, reason } = await locateWeights([canny, antelopev2], settings('auto', 'commercial'));
  expect(set).toBe('mini');
  expect(reason).toMatch(
    /^Not on this disk: lllyasviel\/sd-controlnet-canny, DIAMONIK7777\/antelopev2\. They would not /,
  );
  expect(reason).toMatch(
    /: DIAMONIK7777\/antelopev2 \(non-commercial research only\)\. DARKROOM_WEIGHT_LICENCES is commercial/,
  );
});
