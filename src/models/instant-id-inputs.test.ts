/** That each input of the schema does what it should, on the mini set; what else may come is in instant-id-outcomes.test.ts. */
import sharp from 'sharp';
import { afterAll, describe, expect, test } from 'vitest';
import { instantIdRequests, type Request, textOf } from '../../test/support/instant-id-requests.ts';
import type { PredictContext } from '../catalog/model.ts';
import instantId from './instant-id.ts';

const { context, otherStrip, wider, predict, draw, only, linesOf, close } = await instantIdRequests();
afterAll(close);

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

test('the longest side of the photograph becomes 1280, that of a pose 1024', async () => {
  const sizeOf = async (changes: Partial<Request>) => await sharp((await predict(changes))[0]!.bytes).metadata();
  const quick = { num_inference_steps: 1, guidance_scale: 1 };
  expect(await sizeOf(quick)).toMatchObject({ width: 1280, height: 64 });
  expect(await sizeOf({ ...quick, pose_image: otherStrip })).toMatchObject({ width: 1024, height: 64 });
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
    const [line] = await linesOf(() => predict({ seed: undefined, num_inference_steps: 1, guidance_scale: 1 }));
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
