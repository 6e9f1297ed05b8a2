/** A Stable Diffusion XL in one file draws what it draws in folders, bit by bit. */
import { copyFile, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type MiniContext, miniContext } from '../../test/support/mini-context.ts';
import { sharedHome } from '../../test/support/mini-set.ts';
import { recordedHeader, weightsOfHeader } from '../../test/support/recorded-header.ts';
import { writeSingleFile } from '../../test/support/single-file.ts';
import { fixture } from '../../test/support/weight-content.ts';
import type { RgbImage } from '../base/image.ts';
import photomaker from '../models/photomaker.ts';
import { clipTextConfig } from '../networks/clip-config.ts';
import { unetConfig } from '../networks/unet-config.ts';
import { encodePicture } from '../pipeline/encode.ts';
import { readSchedulerConfig } from '../pipeline/scheduler-file.ts';
import { fitLora } from './fit-lora.ts';
import { locateWeights } from './locate.ts';
import { miniFolder } from './mini.ts';
import { openNetworkFiles } from './network-files.ts';
import { singleFile, singleFilePart } from './single-file.ts';

const base = 'SG161222/RealVisXL_V3.0';
let folder: string;
/** The base as the mini set has it, and in one file. */
let folders: string;
let single: string;
let context: MiniContext;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'single-file-'));
  folders = (await miniFolder([base], sharedHome()))!;
  single = join(folder, base);
  // The small networks have other heads and groups than SDXL's, and so their configurations come along.
  for (const network of ['unet', 'vae', 'text_encoder', 'text_encoder_2']) {
    await mkdir(join(single, network), { recursive: true });
    await copyFile(join(folders, network, 'config.json'), join(single, network, 'config.json'));
  }
  await writeSingleFile(folders, join(single, singleFile));
  const adapter = 'TencentARC/PhotoMaker';
  await mkdir(join(folder, dirname(adapter)));
  await symlink((await miniFolder([adapter], sharedHome()))!, join(folder, adapter));
  context = miniContext();
});
afterAll(async () => {
  await context.close();
  await rm(folder, { recursive: true });
});

test('the same prediction, found on the disk as published weights are', async () => {
  const portrait = fileURLToPath(new URL('../../test/fixtures/photos/eileen-collins.jpg', import.meta.url));
  const request = {
    input_image: portrait,
    input_image2: undefined,
    input_image3: undefined,
    input_image4: undefined,
    prompt: 'a photo of a woman img',
    style_name: 'Photographic (Default)',
    negative_prompt: 'blurry',
    num_steps: 1,
    style_strength_ratio: 15,
    num_outputs: 1,
    guidance_scale: 5,
    seed: 7,
    disable_safety_checker: true,
  } as const;
  const settings = {
    weights: 'full',
    weightLicences: 'all',
    weightsPath: folder,
    hfHome: folder,
    home: folder,
  } as const;
  const located: string[] = [];
  const predict = async (surroundings: MiniContext): Promise<Uint8Array> => {
    for await (const { bytes } of photomaker.predict(request, surroundings)) return bytes;
    throw new Error('There is no picture.');
  };
  const ofFile = await predict({
    ...context,
    async locate(repositories) {
      const found = await locateWeights(repositories, settings);
      located.push(found.set, found.folders[0]!);
      return found;
    },
  });
  expect(located).toEqual(['full', single]);
  expect(Buffer.from(await predict(context)).equals(ofFile)).toBe(true);
});

test('the way into latents, the schedule and what a LoRA is compared with are those of the folders', async () => {
  const data = Uint8Array.from({ length: 64 * 72 * 3 }, (_, index) => (index * index) % 251);
  const picture: RgbImage = { width: 72, height: 64, channels: 3, data };
  const [one, other] = [
    await encodePicture(context.residency, folders, picture),
    await encodePicture(context.residency, single, picture),
  ];
  expect(other).toEqual(one);
  expect(await readSchedulerConfig(single)).toEqual(await readSchedulerConfig(folders));
  const style = (await miniFolder(['artificialguybr/PixelArtRedmond'], sharedHome()))!;
  const lines: string[] = [];
  const options = { base: single, log: (line: string) => void lines.push(line) };
  await fitLora(join(style, 'PixelArtRedmond-Lite64.safetensors'), options);
  expect(lines).toEqual([]);
});

test('a file of another family is refused with what it lacks', async () => {
  const other = join(folder, 'another', 'family');
  await mkdir(other, { recursive: true });
  await copyFile(fixture('sd15.ckpt'), join(other, singleFile));
  const opened = openNetworkFiles(join(other, 'text_encoder_2'), 'model');
  await expect(opened).rejects.toThrow(/has no textEncoder2, only unet, vae, textEncoder/);
});

test('what no weights tell is that of SDXL: heads of 64 channels, sizes beside a pooled text of 1280', () => {
  const config = (name: string): unknown => singleFilePart(join('/base', name))!.config;
  const unet = unetConfig(config('unet'), weightsOfHeader(recordedHeader('sdxl-unet'), 'unet'));
  expect(unet.down.map(({ channels, heads }) => channels / heads)).toEqual([64, 64, 64]);
  const texts = [
    clipTextConfig(config('text_encoder'), weightsOfHeader(recordedHeader('sd15-text-encoder'), 'first')),
    clipTextConfig(config('text_encoder_2'), weightsOfHeader(recordedHeader('sdxl-text-encoder-2'), 'second')),
  ];
  expect(texts.map(({ width, heads }) => width / heads)).toEqual([64, 64]);
  expect(texts.map(({ activation, pooledToken }) => [activation, pooledToken])).toEqual([
    ['quick_gelu', 'largest'],
    ['gelu', 'largest'],
  ]);
  expect(unet.added).toEqual({ pooledWidth: texts[1]!.projectionWidth, timeIds: 6, timeWidth: 256 });
  expect(config('vae')).toEqual({ scaling_factor: 0.13025 });
  expect(singleFilePart('/repository/ControlNetModel')).toBeUndefined();
});
