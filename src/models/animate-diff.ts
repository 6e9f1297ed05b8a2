/**
 * `lucataco/animate-diff`: sixteen frames of a film from a prompt, by Stable Diffusion 1.5 in the style of a personalised
 * checkpoint, with the motion modules of AnimateDiff (arXiv 2307.04725).
 *
 * Behaves as version beecf59 of the original (guoyww/AnimateDiff at 1904a01, diffusers 0.11.1); what differs on purpose
 * is listed in docs/models/animate-diff.md.
 *
 * Not here: LoRAs, other sizes and counts of frames, which the inputs have no way to ask for either.
 */
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import type { RgbImage } from '../base/image.ts';
import { encodeVideo } from '../base/video.ts';
import { choice, type InputOf, integer, number, text } from '../catalog/fields.ts';
import { defineModel, type PredictContext, type WeightFile } from '../catalog/model.ts';
import { cudaNormals } from '../math/random.ts';
import { float32, rowOf, scalar, type Tensor } from '../math/tensor.ts';
import { type MotionVersion, motionUnetNetwork } from '../networks/motion-unet.ts';
import { checkpointDecoderNetwork } from '../networks/vae-decoder.ts';
import { decodeFrames } from '../pipeline/frames.ts';
import { classifierFreeGuidance } from '../pipeline/guidance.ts';
import { stableDiffusionColours, stepWithPreview } from '../pipeline/preview.ts';
import { encodePrompts } from '../pipeline/prompt.ts';
import { stableDiffusion15, stableDiffusion15Files } from '../pipeline/stable-diffusion-files.ts';
import { samplerFromConfig } from '../schedulers/from-config.ts';

/** The text encoder is this one, whatever the checkpoint holds; of UNet and autoencoder only the options are read. */
const stableDiffusion = {
  ...stableDiffusion15,
  files: ['unet/config.json', 'vae/config.json', ...stableDiffusion15Files.textEncoder],
};

const motionModules = {
  mm_sd_v14: motionModule('v14', {
    sha256: 'aa7fd8a200a89031edd84487e2a757c5315460eca528fa70d4b3885c399bffd5',
  }),
  mm_sd_v15: motionModule('v15', {
    sha256: 'cf16ea656cb16124990c8e2c70a29c793f9841f3a2223073fac8bd89ebd9b69a',
  }),
  mm_sd_v15_v2: motionModule('v15_v2', {
    bytes: 1_817_888_431,
    sha256: '69ed0f5fef82b110aca51bcab73b21104242bc65d6ab4b8b2a2a94d31cad1bf0',
  }),
};
type MotionInput = keyof typeof motionModules;

function motionModule(version: MotionVersion, facts: Omit<WeightFile, 'path'>) {
  return {
    version,
    weights: {
      repository: 'guoyww/animatediff',
      files: [{ path: `mm_sd_${version}.ckpt`, ...facts }],
      // Its authors speak of academic use as well.
      licence: 'Apache-2.0, academic',
      commercialUse: false,
    },
  };
}

/** Their names are those of the API; the numbers are versions on Civitai. The last one is Realistic Vision 2.0. */
const checkpoints = {
  'toonyou_beta3.safetensors': checkpoint(78775, 'toonyou_beta3.safetensors', '30240/toonyou'),
  'lyriel_v16.safetensors': checkpoint(72396, 'lyriel_v16.safetensors', '22922/lyriel'),
  'rcnzCartoon3d_v10.safetensors': checkpoint(71009, 'rcnzCartoon3d_v10.safetensors', '66347/rcnz-cartoon-3d'),
  'majicmixRealistic_v5Preview.safetensors': checkpoint(
    79068,
    'majicmixRealistic_v5Preview.safetensors',
    '43331/majicmix-realistic',
  ),
  'realisticVisionV40_v20Novae.safetensors': checkpoint(
    29460,
    'realisticVisionV40_v20Novae.safetensors',
    '4201/realistic-vision-v20',
  ),
};
type CheckpointInput = keyof typeof checkpoints;

function checkpoint(version: number, file: string, page: string) {
  return {
    repository: `civitai/${version}`,
    page: `https://civitai.com/models/${page}?modelVersionId=${version}`,
    files: [file],
    licence: 'CreativeML OpenRAIL-M and the permissions on its page',
    commercialUse: false,
  };
}

/** configs/inference/inference-v1.yaml and -v2.yaml, with what the pipeline changes in them. */
const schedule = {
  num_train_timesteps: 1000,
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: 'linear',
  steps_offset: 1,
  clip_sample: false,
};

/** Of Stable Diffusion 1.5's autoencoder. */
const vaeScalingFactor = 0.18215;

export interface FilmSize {
  frames: number;
  /** Of the picture, in multiples of 64. */
  width: number;
  height: number;
}

/** What the modules were trained for. */
const filmSize: FilmSize = { frames: 16, width: 512, height: 512 };
/** Thirteen hundredths: the original's eight frames a second, as a GIF counts time. */
const millisecondsPerFrame = 130;

const inputs = {
  motion_module: choice(Object.keys(motionModules) as MotionInput[], {
    description: 'Select a Motion Model',
    default: 'mm_sd_v14',
  }),
  path: choice(Object.keys(checkpoints) as CheckpointInput[], {
    description: 'Select a Module',
    default: 'toonyou_beta3.safetensors',
  }),
  prompt: text({
    description: 'Input prompt',
    default:
      'masterpiece, best quality, 1girl, solo, cherry blossoms, hanami, pink flower, white flower, spring season, ' +
      'wisteria, petals, flower, plum blossoms, outdoors, falling petals, white hair, black eyes',
  }),
  n_prompt: text({ description: 'Negative prompt', default: '' }),
  steps: integer({ description: 'Number of inference steps', default: 25, minimum: 1, maximum: 100 }),
  guidance_scale: number({ description: 'guidance scale', default: 7.5, minimum: 1, maximum: 10 }),
  seed: integer({ description: 'Seed (0 = random, maximum: 2147483647)', optional: true, wide: true }),
};

export type AnimateDiffInput = InputOf<typeof inputs>;

export default defineModel({
  owner: 'lucataco',
  name: 'animate-diff',
  version: 'beecf59c4aee8d81bf04f0381033dfa10dc16e845b4ae00d281e2fa377e48a9f',
  createdAt: '2023-09-24T00:00:00.000Z',
  description: 'Animate Your Personalized Text-to-Image Diffusion Models',
  inputs,
  output: 'file',
  weights: [
    stableDiffusion,
    ...Object.values(motionModules).map(({ weights }) => weights),
    ...Object.values(checkpoints),
  ],

  async *predict(input, context) {
    const bytes = await encodeVideo(drawFrames(input, filmSize, context), millisecondsPerFrame);
    context.log('saved to file');
    yield { name: 'out.mp4', contentType: 'video/mp4', bytes };
  },
});

/** The frames in their order, each as soon as it is decoded. */
export async function* drawFrames(
  input: AnimateDiffInput,
  { frames, width, height }: FilmSize,
  { log, step, preview, signal, residency, locate }: PredictContext,
): AsyncGenerator<RgbImage> {
  const { version, weights } = motionModules[input.motion_module];
  const { folders } = await locate([stableDiffusion, weights, checkpoints[input.path]]);
  const [base, motion, personalised] = folders as [string, string, string];
  const checkpoint = join(personalised, input.path);
  // The original takes a seed of 0 as it is, though the schema says otherwise.
  const seed = input.seed === undefined ? randomInt(2 ** 32) : BigInt(input.seed);
  const normals = cudaNormals(seed);
  log(`Using seed: ${seed}`);
  log(`sampling: ${input.prompt} ...`);

  const guided = input.guidance_scale > 1;
  const prompts = guided ? [input.n_prompt, input.prompt] : [input.prompt];
  const states = await encodePrompts(residency, base, prompts, 1, log);

  const latentDims = [1, 4, frames, height / 8, width / 8] as const;
  const latentSize = { frames, width: width / 8, height: height / 8 };
  // With guidance it runs twice a step: in one run the two would need twice the memory, and not less time.
  const unet = motionUnetNetwork(
    {
      config: join(base, 'unet', 'config.json'),
      checkpoint,
      motion: join(motion, `mm_sd_${version}.ckpt`),
      version,
    },
    { batch: 1, frames, height: height / 8, width: width / 8, textLength: states.dims[1]! },
  );
  const sampler = samplerFromConfig('DDIMScheduler', schedule, { steps: input.steps });
  const latents = await residency.use(unet, (session) =>
    sampler.sample({
      latents: normals.normal(4 * frames * (height / 8) * (width / 8)),
      drawNoise: (count) => normals.normal(count),
      onStep: stepWithPreview({ step, preview }, stableDiffusionColours, latentSize),
      signal,
      async denoise(latents, timestep) {
        const noises = float32([prompts.length, ...latentDims.slice(1)]);
        for (let prompt = 0; prompt < prompts.length; prompt++) {
          signal.throwIfAborted();
          const { sample } = await session.run({
            sample: float32(latentDims, latents),
            timestep: scalar(timestep),
            encoder_hidden_states: rowOf(states, prompt),
          });
          noises.data.set((sample as Tensor<'float32'>).data, prompt * latents.length);
        }
        return guided ? classifierFreeGuidance(noises, input.guidance_scale) : noises.data;
      },
    }),
  );

  const decoder = checkpointDecoderNetwork(join(base, 'vae', 'config.json'), checkpoint, {
    batch: 1,
    height: height / 8,
    width: width / 8,
  });
  let decoded = 0;
  step(decoded, frames);
  for await (const frame of decodeFrames(residency, decoder, float32(latentDims, latents), vaeScalingFactor)) {
    signal.throwIfAborted();
    step(++decoded, frames);
    yield frame;
  }
}
