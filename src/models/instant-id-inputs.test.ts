/** That each input of the schema does what it should, on the mini set; wrong inputs are in test/e2e/instant-id.test.ts. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type GivenFace, type GivenSight, givenFaces } from '../../test/support/given-faces.ts';
import { miniContext } from '../../test/support/mini-context.ts';
import type { InputOf } from '../catalog/fields.ts';
import type { OutputFile, PredictContext } from '../catalog/model.ts';
import type { Residency } from '../runtime/residency.ts';
import instantId from './instant-id.ts';

const photo = (name: string): string => fileURLToPath(new URL(`../../test/fixtures/${name}`, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'darkroom-instant-id-'));
const portrait = photo('photos/eileen-collins.jpg');
/** Nearly as long and narrow as they may be, so that the pictures are small. */
const strip = join(folder, 'strip.png');
const otherStrip = join(folder, 'other-strip.png');
const wider = join(folder, 'wider.png');

const request: InputOf<typeof instantId.inputs> = {
  image: strip,
  pose_image: undefined,
  prompt: 'a bronze bust',
  negative_prompt: 'blurry',
  sdxl_weights: 'stable-diffusion-xl-base-1.0',
  scheduler: 'EulerDiscreteScheduler',
  num_inference_steps: 2,
  guidance_scale: 5,
  ip_adapter_scale: 0.8,
  controlnet_conditioning_scale: 0.8,
  enable_pose_controlnet: false,
  pose_strength: 0.4,
  enable_canny_controlnet: true,
  canny_strength: 0.3,
  enable_depth_controlnet: false,
  depth_strength: 0.5,
  enable_lcm: false,
  lcm_num_inference_steps: 2,
  lcm_guidance_scale: 1.5,
  enhance_nonface_region: true,
  output_format: 'png',
  output_quality: 80,
  seed: 7,
  num_outputs: 1,
  disable_safety_checker: false,
};
type Request = typeof request;

const context = miniContext();
beforeAll(async () => {
  await sharp(portrait).extract({ left: 90, top: 120, width: 320, height: 20 }).toFile(strip);
  await sharp(photo('photos/cat.jpg')).extract({ left: 50, top: 90, width: 320, height: 20 }).toFile(otherStrip);
  await sharp(portrait).extract({ left: 20, top: 40, width: 450, height: 180 }).toFile(wider);
});
afterAll(async () => {
  await context.close();
  rmSync(folder, { recursive: true });
});

async function predict(changes: Partial<Request>, surroundings: PredictContext = context): Promise<OutputFile[]> {
  const files: OutputFile[] = [];
  for await (const file of instantId.predict({ ...request, ...changes }, surroundings)) files.push(file);
  return files;
}
const textOf = ({ bytes }: OutputFile): string => Buffer.from(bytes).toString('base64');
const drawn = new Map<string, Promise<string>>();
/** The one picture of a request, drawn once. */
function only(changes: Partial<Request>): Promise<string> {
  const key = JSON.stringify(changes);
  const picture = drawn.get(key) ?? draw(changes);
  drawn.set(key, picture);
  return picture;
}
async function draw(changes: Partial<Request>): Promise<string> {
  const files = await predict(changes);
  expect(files).toHaveLength(1);
  return textOf(files[0]!);
}
const sizeOf = async (changes: Partial<Request>) => {
  const { width, height, format } = await sharp((await predict(changes))[0]!.bytes).metadata();
  return { width, height, format };
};

describe('what changes the picture', () => {
  test.each<[string, Partial<Request>]>([
    ['image', { image: otherStrip }],
    ['pose_image', { pose_image: otherStrip }],
    ['prompt', { prompt: 'a wooden toy' }],
    ['negative_prompt', { negative_prompt: 'bronze' }],
    ['num_inference_steps', { num_inference_steps: 3 }],
    ['guidance_scale', { guidance_scale: 6 }],
    ['ip_adapter_scale', { ip_adapter_scale: 0 }],
    ['controlnet_conditioning_scale', { controlnet_conditioning_scale: 0 }],
    ['enable_canny_controlnet', { enable_canny_controlnet: false }],
    ['canny_strength', { canny_strength: 0.9 }],
    ['enable_depth_controlnet', { enable_depth_controlnet: true }],
    ['enable_lcm', { enable_lcm: true }],
    ['seed', { seed: 8 }],
  ])('%s', async (_, change) => {
    expect(await only(change)).not.toBe(await only({}));
  });

  test('every scheduler draws a picture of its own', async () => {
    const pictures = new Set<string>();
    for (const scheduler of instantId.inputs.scheduler.choices) pictures.add(await only({ scheduler }));
    expect(pictures.size).toBe(6);
  });

  test('sdxl_weights: every name is another base', async () => {
    expect(await only({ sdxl_weights: 'RealVisXL_V3.0_Turbo' })).not.toBe(await only({}));
    const bases = new Set<string>();
    for (const sdxl_weights of instantId.inputs.sdxl_weights.choices) {
      const locate: PredictContext['locate'] = async ([base]) => {
        bases.add(base!.repository);
        throw new Error('enough');
      };
      await expect(predict({ sdxl_weights }, { ...context, locate })).rejects.toThrow('enough');
    }
    expect(bases.size).toBe(17);
  });

  test('depth_strength and pose_strength, where their ControlNets are on', async () => {
    const depth = { enable_depth_controlnet: true };
    expect(await only({ ...depth, depth_strength: 0.9 })).not.toBe(await only(depth));
    const pose = { enable_pose_controlnet: true, pose_image: wider, num_inference_steps: 1, guidance_scale: 1 };
    const [weak, strong, off] = [
      await only(pose),
      await only({ ...pose, pose_strength: 0.9 }),
      await only({ ...pose, enable_pose_controlnet: false }),
    ];
    expect(new Set([weak, strong, off]).size).toBe(3);
  });

  test('with LCM its own steps and guidance count, and no others', async () => {
    const lcm = { enable_lcm: true };
    const plain = await only(lcm);
    expect(await only({ ...lcm, lcm_num_inference_steps: 3 })).not.toBe(plain);
    expect(await only({ ...lcm, lcm_guidance_scale: 3 })).not.toBe(plain);
    const others = { scheduler: 'HeunDiscreteScheduler', num_inference_steps: 9, guidance_scale: 20 } as const;
    expect(await only({ ...lcm, ...others })).toBe(plain);
  });
});

describe('what leaves the picture as it is', () => {
  test.each<[string, Partial<Request>]>([
    ['enhance_nonface_region, as in the published version', { enhance_nonface_region: false }],
    ['steps and guidance of LCM without it', { lcm_num_inference_steps: 5, lcm_guidance_scale: 3 }],
    ['strengths of ControlNets that are off', { pose_strength: 1, depth_strength: 1 }],
    ['a ControlNet of strength 0', { enable_depth_controlnet: true, depth_strength: 0 }],
    ['the quality of a PNG', { output_quality: 1 }],
    ['the safety checker, which finds nothing', { disable_safety_checker: true }],
  ])('%s', async (_, change) => {
    expect(await only(change)).toBe(await only({}));
  });

  test('the negative prompt at a guidance of 1, with LCM or without', async () => {
    for (const unguided of [{ guidance_scale: 1 }, { enable_lcm: true, lcm_guidance_scale: 1 }]) {
      expect(await only({ ...unguided, negative_prompt: 'bronze' })).toBe(await only(unguided));
    }
  });

  test('a request before it: nothing of a scheduler or of LCM stays', async () => {
    const plain = { scheduler: 'DPMSolverMultistepScheduler' } as const;
    const before = await draw(plain);
    await draw({ scheduler: 'DPMSolverMultistepScheduler-Karras-SDE' });
    await draw({ enable_lcm: true });
    expect(await draw(plain)).toBe(before);
  });
});

describe('size', () => {
  test('the longest side of the photograph becomes 1280, that of a pose 1024', async () => {
    expect(await sizeOf({})).toMatchObject({ width: 1280, height: 64 });
    expect(await sizeOf({ pose_image: otherStrip })).toMatchObject({ width: 1024, height: 64 });
  });

  test('a strip whose shorter side would vanish is refused, and so is one of a pose', async () => {
    const thin = join(folder, 'thin.png');
    await sharp({ create: { width: 900, height: 30, channels: 3, background: 'teal' } }).toFile(thin);
    const message = (field: string): RegExp => new RegExp(`^${field} is 900×30, too long and narrow: .* Crop it\\.$`);
    await expect(predict({ image: thin })).rejects.toMatchObject({ message: expect.stringMatching(message('image')) });
    await expect(predict({ pose_image: thin })).rejects.toMatchObject({
      message: expect.stringMatching(message('pose_image')),
      field: 'pose_image',
    });
  });

  test('a photograph that EXIF turns is turned', async () => {
    const turned = join(folder, 'turned.jpg');
    await sharp(portrait)
      .extract({ left: 90, top: 120, width: 320, height: 20 })
      .withMetadata({ orientation: 6 })
      .toFile(turned);
    expect(await sizeOf({ image: turned })).toMatchObject({ width: 64, height: 1280 });
  });
});

describe('files', () => {
  test.each([
    ['webp', 'webp', 'out_0.webp'],
    ['jpg', 'jpeg', 'out_0.jpeg'],
    ['png', 'png', 'out_0.png'],
  ] as const)('%s', async (output_format, format, name) => {
    const [file] = await predict({ output_format });
    expect(file).toMatchObject({ name, contentType: `image/${format}` });
    expect((await sharp(file!.bytes).metadata()).format).toBe(format);
  });

  test('output_quality is that of WebP and JPEG', async () => {
    for (const output_format of ['webp', 'jpg'] as const) {
      const [rough, fine] = [
        await predict({ output_format, output_quality: 5 }),
        await predict({ output_format, output_quality: 95 }),
      ];
      expect(fine[0]!.bytes.length).toBeGreaterThan(2 * rough[0]!.bytes.length);
    }
  });

  test('num_outputs pictures come of one draw of noise: the first is the same as alone', async () => {
    const files = await predict({ num_outputs: 3 });
    expect(files.map(({ name }) => name)).toEqual(['out_0.png', 'out_1.png', 'out_2.png']);
    expect(new Set(files.map(textOf)).size).toBe(3);
    expect(textOf(files[0]!)).toBe(await only({}));
  });
});

describe('seed', () => {
  test('64 bits are taken to the last digit, as text where a number would lose it', async () => {
    const quick = { num_inference_steps: 1, guidance_scale: 1 };
    const [one, other] = [
      await only({ ...quick, seed: '9007199254740993' }),
      await only({ ...quick, seed: '9007199254740992' }),
    ];
    expect(one).not.toBe(other);
    expect(await only({ ...quick, seed: -1 })).toBe(await only({ ...quick, seed: '18446744073709551615' }));
  });

  test('without one, two random bytes are drawn and logged', async () => {
    const before = context.lines.length;
    await predict({ seed: undefined, num_inference_steps: 1, guidance_scale: 1 });
    const [line] = context.lines.slice(before);
    const seed = Number(/^Using seed: (\d+)$/.exec(line!)![1]);
    expect(seed).toBeLessThanOrEqual(65_535);
  });
});

describe('weights', () => {
  async function asked(changes: Partial<Request>): Promise<string[]> {
    const repositories: string[] = [];
    await predict(
      { num_inference_steps: 1, ...changes },
      {
        ...context,
        locate(wanted) {
          repositories.push(...wanted.map(({ repository }) => repository));
          return context.locate(wanted);
        },
      },
    );
    return repositories;
  }

  test('only what a request needs is looked for', async () => {
    const always = ['stabilityai/stable-diffusion-xl-base-1.0', 'InstantX/InstantID', 'DIAMONIK7777/antelopev2'];
    const canny = 'diffusers/controlnet-canny-sdxl-1.0';
    const safety = 'stable-diffusion-v1-5/stable-diffusion-v1-5';
    expect(await asked({})).toEqual([...always, canny, safety]);
    expect(await asked({ canny_strength: 0, disable_safety_checker: true })).toEqual(always);
    // IdentityNet runs at strength 0 too, as in the original.
    expect(await asked({ controlnet_conditioning_scale: 0, enable_canny_controlnet: false })).toEqual([
      ...always,
      safety,
    ]);
    const depth = await asked({ enable_depth_controlnet: true, enable_lcm: true });
    expect(depth).toEqual([
      ...always,
      canny,
      'diffusers/controlnet-depth-sdxl-1.0-small',
      'Intel/dpt-hybrid-midas',
      'latent-consistency/lcm-lora-sdxl',
      safety,
    ]);
  });

  test('all of them are in the list of the model, each once', () => {
    const names = instantId.weights.map(({ repository }) => repository);
    expect(names).toContain('Intel/dpt-hybrid-midas');
    expect(new Set(names).size).toBe(names.length);
  });
});

test('the log says what the original says', async () => {
  const before = context.lines.length;
  await predict({ num_outputs: 2, output_format: 'jpg', num_inference_steps: 1 });
  const lines = context.lines.slice(before).filter((line) => !line.startsWith('Weights:'));
  expect(lines[0]).toBe('Using seed: 7');
  const saved = (index: number): string[] => [
    'NSFW content detected: False',
    `[~] Saving to out_${index}.jpeg...`,
    '[~] Output format: JPEG',
    '[~] Output quality: 80',
  ];
  expect(lines.slice(lines.indexOf('Start inference...'))).toEqual([
    'Start inference...',
    '[Debug] Prompt: a bronze bust, ',
    '[Debug] Neg Prompt: blurry',
    ...saved(0),
    ...saved(1),
  ]);
});

test('the mini set, which finds nobody, takes a face in the middle for granted and says so', async () => {
  const before = context.lines.length;
  await predict({ pose_image: otherStrip, num_inference_steps: 1 });
  const notices = context.lines.slice(before).filter((line) => line.startsWith('Face detector:'));
  expect(notices).toEqual(
    ['image', 'pose_image'].map((field) => expect.stringMatching(new RegExp(`finds nobody; .* middle of ${field} `))),
  );
});

describe('faces, as the full set finds them', () => {
  const full = (sights: readonly GivenSight[]): PredictContext => ({
    ...context,
    residency: givenFaces(context.residency, sights),
    locate: async (wanted) => ({ ...(await context.locate(wanted)), set: 'full' }),
  });
  const inPhotograph = (...faces: GivenFace[]): GivenSight => ({ faces, width: 1280, height: 64 });
  const inPose = (...faces: GivenFace[]): GivenSight => ({ faces, width: 1024, height: 64 });
  /** So many pixels wide, and half as much again high. */
  const face = (left: number, top: number, width: number, det_score = 0.9): GivenFace => ({
    bbox: [left, top, left + width, top + 1.5 * width],
    kps: [
      [left + 0.3 * width, top + 0.5 * width],
      [left + 0.7 * width, top + 0.55 * width],
      [left + 0.5 * width, top + 0.8 * width],
      [left + 0.35 * width, top + 1.1 * width],
      [left + 0.65 * width, top + 1.15 * width],
    ],
    det_score,
  });
  const quick = { num_inference_steps: 1, guidance_scale: 1 };
  const with_ = async (sights: readonly GivenSight[], changes: Partial<Request> = {}): Promise<string> =>
    textOf((await predict({ ...quick, ...changes }, full(sights)))[0]!);

  test('of twenty in the photograph the wide one low in the picture counts, and not the surest', async () => {
    const crowd = Array.from({ length: 19 }, (_, index) => face(4 + 60 * index, 1, 20, 0.99 - 0.01 * index));
    const low = face(1180, 12, 24, 0.6);
    const picture = await with_([inPhotograph(...crowd, low)]);
    expect(picture).toBe(await with_([inPhotograph(low)]));
    expect(picture).not.toBe(await with_([inPhotograph(crowd[0]!)]));
  });

  test('of several in the pose the last one counts, of which the detector is least sure', async () => {
    const [sure, unsure] = [face(100, 2, 36, 0.9), face(700, 8, 30, 0.55)];
    const photograph = inPhotograph(face(20, 4, 30));
    const changes = { pose_image: otherStrip };
    const picture = await with_([photograph, inPose(sure, unsure)], changes);
    expect(picture).toBe(await with_([photograph, inPose(unsure)], changes));
    expect(picture).not.toBe(await with_([photograph, inPose(sure)], changes));
  });

  test.each([
    ['cut by the border', face(1262, -9, 40)],
    ['of 20 pixels', face(600, 20, 20)],
  ])('a face %s is one like others', async (_, found) => {
    expect(await with_([inPhotograph(found)])).not.toBe(await with_([inPhotograph(face(100, 4, 36))]));
  });

  test.each([
    ['image', [inPhotograph()]],
    ['pose_image', [inPhotograph(face(20, 4, 30)), inPose()]],
  ] as const)('%s: the original’s words, and the field', async (field, sights) => {
    const before = context.lines.length;
    await expect(predict({ pose_image: otherStrip }, full(sights))).rejects.toMatchObject({
      name: 'InputError',
      field,
      message:
        `Face detector could not find a face in the \`${field}\`. ` + `Please use a different \`${field}\` as input.`,
    });
    expect(context.lines.slice(before).join()).toContain('non-commercial research only');
  });
});

test('an unsafe picture fails the whole prediction in the original’s words, and no file comes out', async () => {
  let checked = 0;
  /** Of the second picture the checker is certain. */
  const use: Residency['use'] = (network, work) =>
    context.residency.use(network, (session) =>
      work({
        ...session,
        async run(feeds) {
          const results = await session.run(feeds);
          if (!network.key.startsWith('safety-checker') || ++checked < 2) return results;
          return { ...results, thresholds: { ...results.thresholds!, data: new Float32Array(17).fill(-1) } };
        },
      }),
    );
  const before = context.lines.length;
  const files: OutputFile[] = [];
  const run = async (): Promise<void> => {
    const surroundings = { ...context, residency: { ...context.residency, use } };
    for await (const file of instantId.predict({ ...request, num_outputs: 3 }, surroundings)) files.push(file);
  };
  await expect(run()).rejects.toMatchObject({
    name: 'InputError',
    message: 'NSFW content detected. Try running it again, or try a different prompt.',
  });
  expect(files).toEqual([]);
  const verdicts = context.lines.slice(before).filter((line) => line.startsWith('NSFW content detected: '));
  expect(verdicts).toEqual(['NSFW content detected: False', 'NSFW content detected: True']);
});
