/**
 * `rossjillian/controlnet`: Stable Diffusion 1.5 drawn along the structure of a photograph.
 *
 * Behaves as version 795433b of the original (diffusers 0.15.1, controlnet_aux 0.0.3, OpenCV 4.6); what differs on
 * purpose is listed in docs/models/controlnet.md.
 */
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import type { Annotator } from '../annotators/annotator.ts';
import { canny } from '../annotators/canny.ts';
import { depth } from '../annotators/depth.ts';
import { dwpose } from '../annotators/dwpose.ts';
import { freeHed, hed } from '../annotators/hed.ts';
import { hough } from '../annotators/hough.ts';
import { normal } from '../annotators/normal.ts';
import { pose } from '../annotators/pose.ts';
import { freeScribble, scribble } from '../annotators/scribble.ts';
import { seg } from '../annotators/seg.ts';
import { encodePng, type RgbImage, readImage } from '../base/image.ts';
import { lanczos, resize } from '../base/resize.ts';
import { choice, image, integer, number, text, toggle } from '../catalog/fields.ts';
import { defineModel, type OutputFile, type PredictContext, type WeightRepository } from '../catalog/model.ts';
import { alphasCumprod, stableDiffusionNoise, trainingSigmas } from '../math/noise-schedule.ts';
import { cudaNormals } from '../math/random.ts';
import { float32, scalar, type Tensor } from '../math/tensor.ts';
import { unetNetwork } from '../networks/unet.ts';
import { controlSize } from '../pipeline/control-size.ts';
import { decodePictures } from '../pipeline/decode.ts';
import { classifierFreeGuidance, duplicate } from '../pipeline/guidance.ts';
import { pictureToTensor } from '../pipeline/picture.ts';
import { stableDiffusionColours, stepWithPreview } from '../pipeline/preview.ts';
import { encodePrompts } from '../pipeline/prompt.ts';
import { blackenUnsafe } from '../pipeline/safety.ts';
import { stableDiffusion15, stableDiffusion15Files } from '../pipeline/stable-diffusion-files.ts';
import { samplerFromConfig } from '../schedulers/from-config.ts';

const stableDiffusion = { ...stableDiffusion15, files: Object.values(stableDiffusion15Files).flat() };

/** Of ControlNet 1.0; the mirror is where the original had most of them from. */
function controlNet(structure: string, revision?: string): WeightRepository {
  return {
    repository: `lllyasviel/sd-controlnet-${structure}`,
    mirrors: [`fusing/stable-diffusion-v1-5-controlnet-${structure}`],
    ...(revision && { revision }),
    files: ['config.json', { path: 'diffusion_pytorch_model.safetensors', ...(revision && { bytes: 1_445_157_124 }) }],
    licence: 'OpenRAIL',
    commercialUse: true,
  };
}

interface Structure {
  controlNet: WeightRepository;
  /** Canny has none: it has no weights, and thresholds that the input sets. */
  annotator?: Annotator;
  /** Draws the same where the annotator's weights may not be used. */
  free?: Annotator;
}

const structures = {
  canny: { controlNet: controlNet('canny', '7f2f69197050967007f6bbd23ab5e52f0384162a') },
  depth: { controlNet: controlNet('depth', '35e42a3ea49845b3c76f202f145f257b9fb1b7d4'), annotator: depth },
  hed: { controlNet: controlNet('hed', '04473d9334ab44908daa66107bbfb6f710aa056d'), annotator: hed, free: freeHed },
  hough: { controlNet: controlNet('mlsd'), annotator: hough },
  normal: { controlNet: controlNet('normal', '1cbed9b3ca84422e4a2f23c14b9f5a114742b31d'), annotator: normal },
  pose: { controlNet: controlNet('openpose'), annotator: pose, free: dwpose },
  scribble: {
    controlNet: controlNet('scribble', '864edcd5ccc6ee2695eeebea5b4512100c83e7b3'),
    annotator: scribble,
    free: freeScribble,
  },
  seg: { controlNet: controlNet('seg', 'ecdcb5645b5099c9a7500a504fb9ab3f743c4d96'), annotator: seg },
} satisfies Record<string, Structure>;

/** The base's scheduler_config.json, which the original makes its schedulers from. */
const baseSchedule = {
  num_train_timesteps: 1000,
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: 'scaled_linear',
  steps_offset: 1,
  set_alpha_to_one: false,
  skip_prk_steps: true,
  clip_sample: false,
};
/** What diffusers 0.15.1 did without asking, in the words of later configurations. */
const evenly = { ...baseSchedule, timestep_spacing: 'linspace' };
const evenlyAboveZero = { ...evenly, final_sigmas_type: 'sigma_min' };

type SchedulerInput = keyof typeof schedulers;
const schedulers = {
  DDIM: ['DDIMScheduler', baseSchedule],
  DPMSolverMultistep: ['DPMSolverMultistepScheduler', evenlyAboveZero],
  HeunDiscrete: ['HeunDiscreteScheduler', evenly],
  K_EULER_ANCESTRAL: ['EulerAncestralDiscreteScheduler', evenly],
  K_EULER: ['EulerDiscreteScheduler', evenly],
  KLMS: ['LMSDiscreteScheduler', evenly],
  PNDM: ['PNDMScheduler', baseSchedule],
  UniPCMultistep: ['UniPCMultistepScheduler', evenlyAboveZero],
} as const;
/** These began at the training schedule's last sigma in 0.15.1, also where a run of one step begins lower. */
const startsAtLastSigma = ['K_EULER_ANCESTRAL', 'K_EULER', 'KLMS'];
const lastSigma = trainingSigmas(alphasCumprod(stableDiffusionNoise)).at(-1)!;

const inputs = {
  image: image({ description: 'Input image' }),
  prompt: text({ description: 'Prompt for the model' }),
  structure: choice(Object.keys(structures) as (keyof typeof structures)[], {
    description: 'Controlnet structure to condition on',
  }),
  num_outputs: integer({
    description: 'Number of images to output (higher values may OOM)',
    default: 1,
    minimum: 1,
    maximum: 4,
  }),
  image_resolution: choice([256, 512, 768], {
    description: 'Resolution of output image (will be scaled to this as its smaller dimension)',
    default: 512,
  }),
  scheduler: choice(Object.keys(schedulers) as SchedulerInput[], {
    description: 'Choose a scheduler.',
    default: 'DDIM',
  }),
  steps: integer({ description: 'Steps', default: 20 }),
  scale: number({ description: 'Scale for classifier-free guidance', default: 9, minimum: 0.1, maximum: 30 }),
  seed: integer({ description: 'Seed', optional: true, wide: true }),
  eta: number({
    description:
      'Controls the amount of noise that is added to the input data during the denoising diffusion process. ' +
      'Higher value -> more noise',
    default: 0,
  }),
  negative_prompt: text({
    description: 'Negative prompt',
    default:
      'Longbody, lowres, bad anatomy, bad hands, missing fingers, extra digit, fewer digits, cropped, worst quality, ' +
      'low quality',
  }),
  low_threshold: integer({
    description: '[canny only] Line detection low threshold',
    default: 100,
    minimum: 1,
    maximum: 255,
  }),
  high_threshold: integer({
    description: '[canny only] Line detection high threshold',
    default: 200,
    minimum: 1,
    maximum: 255,
  }),
  return_reference_image: toggle({
    description: 'whether to return the reference image along with the output',
    default: false,
  }),
};

export default defineModel({
  owner: 'rossjillian',
  name: 'controlnet',
  version: '795433b19458d0f4fa172a7ccf93178d2adb1cb8ab2ad6c8fdc33fdbcd49f477',
  createdAt: '2023-06-13T00:00:00.000Z',
  description: 'Control diffusion models',
  inputs,
  output: 'file-list',
  weights: [stableDiffusion, ...eachOnce(Object.values(structures).flatMap(weightsOf))],

  async *predict(input, context) {
    const { log, signal, residency, locate } = context;
    const [schedulerClass, schedule] = schedulers[input.scheduler];
    const sampler = samplerFromConfig(schedulerClass, schedule, { steps: input.steps, eta: input.eta });
    const seed = input.seed === undefined ? randomInt(65_536) : BigInt(input.seed);
    const normals = cudaNormals(seed);
    log(`Using seed: ${seed}`);

    const photograph = await readImage(input.image);
    // A strip whose picture would be too large is refused before any work; the size itself is the structure's matter.
    controlSize(photograph, input.image_resolution);
    const { controlNet, ...annotators } = structures[input.structure];
    const annotator = chooseAnnotator(annotators, context);
    const { folders } = await locate([stableDiffusion, controlNet, ...(annotator?.weights ?? [])]);
    const [base, controlFolder, ...ofAnnotator] = folders as [string, string, ...string[]];
    const structure = annotator
      ? await annotator.annotate(photograph, { folders: ofAnnotator, residency })
      : await canny(photograph, input.low_threshold, input.high_threshold);
    const { width, height } = controlSize(structure, input.image_resolution);
    const control = pictureToTensor(resize(structure, width, height, lanczos));
    if (input.return_reference_image) yield await png('reference.png', structure);
    signal.throwIfAborted();

    const pictures = input.num_outputs;
    const guided = input.scale > 1;
    const prompts = guided ? [input.negative_prompt, input.prompt] : [input.prompt];
    const states = await encodePrompts(residency, base, prompts, pictures, log);

    const batch = prompts.length * pictures;
    const latentSize = { width: width / 8, height: height / 8 };
    const initialNoise = startsAtLastSigma.includes(input.scheduler) ? lastSigma : sampler.initialNoise;
    const unet = unetNetwork(
      join(base, 'unet'),
      { batch, ...latentSize, textLength: states.dims[1]! },
      { controlnets: [{ folder: controlFolder, conditionBatch: 1 }] },
    );
    const drawLatents = () => normals.normal(pictures * 4 * latentSize.height * latentSize.width);
    const latents = await residency.use(unet, (session) =>
      sampler.sample({
        latents: drawLatents().map((value) => value * initialNoise),
        drawNoise: (count) => normals.normal(count),
        onStep: stepWithPreview(context, stableDiffusionColours, latentSize),
        signal,
        async denoise(latents, timestep) {
          const { sample } = await session.run({
            sample: float32([batch, 4, latentSize.height, latentSize.width], guided ? duplicate(latents) : latents),
            timestep: scalar(timestep),
            encoder_hidden_states: states,
            'controlnet_cond.0': control,
            'conditioning_scale.0': scalar(1),
          });
          const noise = sample as Tensor<'float32'>;
          return guided ? classifierFreeGuidance(noise, input.scale) : noise.data;
        },
      }),
    );

    const finished = float32([pictures, 4, latentSize.height, latentSize.width], latents);
    let index = 0;
    const decoded = decodePictures(residency, base, finished);
    for await (const picture of blackenUnsafe(residency, base, decoded, log)) {
      signal.throwIfAborted();
      yield await png(`out-${index++}.png`, picture);
    }
  },
});

function weightsOf({ controlNet, annotator, free }: Structure): WeightRepository[] {
  return [controlNet, ...(annotator?.weights ?? []), ...(free?.weights ?? [])];
}

/** Two structures may be drawn by the same network. */
function eachOnce(weights: readonly WeightRepository[]): WeightRepository[] {
  return [...new Map(weights.map((entry) => [JSON.stringify(entry), entry])).values()];
}

/** The original's annotator, unless its weights may not be used here and there are others. */
function chooseAnnotator(
  { annotator, free }: Omit<Structure, 'controlNet'>,
  { licences, log }: PredictContext,
): Annotator | undefined {
  if (!free || licences === 'all') return annotator;
  const [{ repository, licence }] = free.weights as [WeightRepository];
  log(`Structure: drawn by ${repository} (${licence}), which may be used commercially, and not as the original does.`);
  return free;
}

async function png(name: string, picture: RgbImage): Promise<OutputFile> {
  return { name, contentType: 'image/png', bytes: await encodePng(picture) };
}
