/**
 * Every file of weights that a model names has recorded names and shapes, over which a test builds the real full-size
 * graphs, each tensor once. Where the published size is known, it has to be that of the recorded tensors.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { headerBytes, recordedHeader } from '../../test/support/recorded-header.ts';
import { weightFiles } from '../weights/inventory.ts';
import { loadModels } from './list.ts';

interface Proof {
  /** Of repository and path. */
  files: RegExp;
  /** In `test/fixtures/headers`; a file may hold several networks. None where the file is a whole network. */
  headers: readonly string[];
  /** The test that builds the graphs. */
  builtBy: string;
  /** The published file is in halves, and what is recorded is not. */
  half?: true;
}

const sd15 = '^stable-diffusion-v1-5/stable-diffusion-v1-5';
const sdxl = '^(?!stable-diffusion-v1-5/)[^/]+/[^/]+';
const unets = 'networks/full-size.test.ts';
const xlUnets = 'networks/full-size-sdxl.test.ts';
const encoders = 'networks/encoders-full-size.test.ts';

const proofs: readonly Proof[] = [
  { files: new RegExp(`${sd15}/unet/`), headers: ['sd15-unet'], builtBy: unets },
  { files: new RegExp(`${sd15}/vae/`), headers: ['sd15-vae-old-keys'], builtBy: encoders },
  { files: new RegExp(`${sd15}/text_encoder/`), headers: ['sd15-text-encoder'], builtBy: encoders },
  { files: new RegExp(`${sd15}/safety_checker/`), headers: ['safety-checker'], builtBy: encoders },
  { files: /^lllyasviel\/sd-controlnet-/, headers: ['sd15-controlnet'], builtBy: unets },
  { files: /^guoyww\/animatediff\/mm_sd_v1[45]\.ckpt$/, headers: ['motion-module-v14'], builtBy: unets },
  { files: /^guoyww\/animatediff\/mm_sd_v15_v2\.ckpt$/, headers: ['motion-module-v15_v2'], builtBy: unets },
  // In the layout of the training code: the same tensors as those of the folders, by other names.
  {
    files: /^civitai\/.*\.safetensors$/,
    headers: ['../weights/full-size/sd15-original'],
    builtBy: 'weights/checkpoint.test.ts',
  },

  { files: new RegExp(`${sdxl}/unet/`), headers: ['sdxl-unet'], builtBy: xlUnets },
  { files: new RegExp(`${sdxl}/vae/`), headers: ['sdxl-vae'], builtBy: encoders },
  { files: new RegExp(`${sdxl}/text_encoder/`), headers: ['sd15-text-encoder'], builtBy: encoders },
  { files: new RegExp(`${sdxl}/text_encoder_2/`), headers: ['sdxl-text-encoder-2'], builtBy: encoders },
  {
    files: /^InstantX\/InstantID\/ip-adapter\.bin$/,
    headers: ['instant-id-image-proj', 'sdxl-image-tokens'],
    builtBy: xlUnets,
  },
  {
    files: /^InstantX\/InstantID\/ControlNetModel\//,
    headers: ['sdxl-controlnet'],
    builtBy: xlUnets,
    half: true,
  },
  { files: /^thibaud\/controlnet-openpose-sdxl-1\.0\//, headers: ['sdxl-controlnet'], builtBy: xlUnets },
  {
    files: /^diffusers\/controlnet-(canny|zoe-depth)-sdxl-1\.0\//,
    headers: ['sdxl-controlnet'],
    builtBy: xlUnets,
  },
  {
    files: /^diffusers\/controlnet-depth-sdxl-1\.0-small\//,
    headers: ['sdxl-controlnet-small'],
    builtBy: xlUnets,
  },
  {
    files: /^latent-consistency\/lcm-lora-sdxl\//,
    headers: ['lora-lcm-sdxl'],
    builtBy: xlUnets,
  },
  {
    files: /^TencentARC\/PhotoMaker\/photomaker-v1\.bin$/,
    headers: ['photomaker-v1', 'lora-attention-sdxl'],
    builtBy: xlUnets,
  },

  { files: /^artificialguybr\/.*\.safetensors$/, headers: ['lora-kohya-sdxl'], builtBy: xlUnets },
  { files: /^fofr\/sdxl-emoji\/lora\.safetensors$/, headers: ['lora-attention-sdxl'], builtBy: xlUnets },
  { files: /\/network-bsds500\.pth$/, headers: ['hed-bsds'], builtBy: 'annotators/hed.test.ts' },
  { files: /\/ControlNetHED\.pth$/, headers: ['hed-apache'], builtBy: 'annotators/hed.test.ts', half: true },
  { files: /\/mlsd_large_512_fp32\.pth$/, headers: ['mlsd-large'], builtBy: 'annotators/hough.test.ts' },
  { files: /\/body_pose_model\.pth$/, headers: ['openpose-body'], builtBy: 'annotators/pose-bodies.test.ts' },
  {
    files: /\/dpt_hybrid-midas-501f0c75\.pt$/,
    headers: ['dpt-hybrid-midas'],
    builtBy: 'annotators/dpt-hybrid.test.ts',
  },
  {
    files: /^Intel\/dpt-hybrid-midas\//,
    headers: ['dpt-hybrid-transformers'],
    builtBy: 'annotators/instant-id-structures.test.ts',
  },
  {
    files: /^openmmlab\/upernet-convnext-small\//,
    headers: ['upernet-convnext-small'],
    builtBy: 'annotators/seg.test.ts',
  },

  // These run as they are: what the file says of itself is compared when it is opened.
  { files: /^DIAMONIK7777\/antelopev2\/.*\.onnx$/, headers: [], builtBy: 'faces/networks.test.ts' },
  { files: /^yzd-v\/DWPose\/.*\.onnx$/, headers: [], builtBy: 'annotators/dwpose.test.ts' },
];

const source = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');

const models = await loadModels();
const published = new Map<string, number | undefined>();
for (const repository of models.flatMap(({ weights }) => weights)) {
  for (const { path, bytes } of weightFiles(repository)) {
    if (!path.endsWith('.json')) published.set(`${repository.repository}/${path}`, bytes);
  }
}

const proofsOf = (name: string): Proof[] => proofs.filter(({ files }) => files.test(name));

test.each([...published.keys()])('%s has recorded names and shapes, over which a test builds its graphs', (name) => {
  const [proof, ...others] = proofsOf(name);
  expect(others).toEqual([]);
  expect(proof).toBeDefined();
  const test = source(proof!.builtBy);
  for (const header of proof!.headers) {
    expect(test).toContain(`'${/[^/]+$/.exec(header)![0].replace('-original', '')}'`);
  }
});

const measured = [...published].flatMap(([name, bytes]) => {
  const [proof] = proofsOf(name);
  return bytes && proof && proof.headers.length > 0 ? [[name, bytes, proof] as const] : [];
});

test.each(measured)('%s has the size of what is recorded', (_, bytes, { headers, half }) => {
  const tensors = headers.reduce((sum, header) => sum + headerBytes(recordedHeader(header)), 0);
  const rest = bytes - tensors / (half ? 2 : 1);
  // Names, shapes and what else the format has.
  expect(rest).toBeGreaterThan(0);
  expect(rest).toBeLessThan(500_000);
});

test('no proof is of a file that no model has', () => {
  const names = [...published.keys()];
  expect(proofs.filter(({ files }) => !names.some((name) => files.test(name)))).toEqual([]);
});
