/**
 * `zsxkib/instant-id`: a person's face in any picture that Stable Diffusion XL can draw, by InstantID (arXiv 2401.07519).
 *
 * Behaves as version 491ddf5 of the original (zsxkib/InstantID at b8dc74a, diffusers 0.25.1, InsightFace 0.7.3,
 * controlnet_aux 0.0.7); what differs on purpose is listed in docs/models/instant-id.md.
 */
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { cannyStructure, depthStructure, poseStructure } from '../annotators/instant-id-structures.ts';
import { encodeImage } from '../base/encode-image.ts';
import { InputError } from '../base/errors.ts';
import { type RgbImage, readImage } from '../base/image.ts';
import { bicubic, resize } from '../base/resize.ts';
import { defineModel, type LocatedWeights, type OutputFile, type PredictContext } from '../catalog/model.ts';
import { antelopev2, logFaceLicence } from '../faces/antelopev2.ts';
import { standInFace } from '../faces/centre-face.ts';
import { widestLowestFace } from '../faces/choose.ts';
import { detectFaces } from '../faces/detect.ts';
import { embedFace } from '../faces/embed.ts';
import type { Face } from '../faces/face.ts';
import { drawKeyPoints } from '../faces/key-points.ts';
import { cudaNormals } from '../math/random.ts';
import { float32, rowOf, scalar, sizeOf, type Tensor } from '../math/tensor.ts';
import { unetNetwork } from '../networks/unet.ts';
import { decodePictures } from '../pipeline/decode.ts';
import { faceTokens, tokensPerFace } from '../pipeline/face-tokens.ts';
import { classifierFreeGuidance } from '../pipeline/guidance.ts';
import {
  cannyControlNet,
  depthControlNet,
  faceAdapterFile,
  identityNetFolder,
  instantId,
  lcmLora,
  lcmLoraFile,
  poseControlNet,
} from '../pipeline/instant-id-files.ts';
import { instantIdSampler } from '../pipeline/instant-id-sampler.ts';
import { locateEach } from '../pipeline/locate-each.ts';
import { resizeToLongestSide } from '../pipeline/longest-side.ts';
import { pictureToTensor } from '../pipeline/picture.ts';
import { predictRows } from '../pipeline/predict-rows.ts';
import { stableDiffusionXlColours, stepWithPreview } from '../pipeline/preview.ts';
import { isUnsafe } from '../pipeline/safety.ts';
import { readSchedulerConfig } from '../pipeline/scheduler-file.ts';
import { shortened } from '../pipeline/shortened.ts';
import { safetyChecker, stableDiffusionXl } from '../pipeline/stable-diffusion-xl-files.ts';
import { encodeXlPrompts, promptFeeds, timeIds } from '../pipeline/stable-diffusion-xl-prompt.ts';
import { inputs } from './inputs/instant-id.ts';

/** ControlNets beside IdentityNet, in the order in which the original adds them up, and the inputs that they hear. */
const structures = [
  { enable: 'enable_pose_controlnet', strength: 'pose_strength', controlNet: poseControlNet, annotator: poseStructure },
  {
    enable: 'enable_canny_controlnet',
    strength: 'canny_strength',
    controlNet: cannyControlNet,
    annotator: cannyStructure,
  },
  {
    enable: 'enable_depth_controlnet',
    strength: 'depth_strength',
    controlNet: depthControlNet,
    annotator: depthStructure,
  },
] as const;

/** Pixels of the longest side, of the photograph and of the picture that lends its pose. */
const photographSide = 1280;
const poseSide = 1024;
/** Of the square that pictures are fitted into to look for faces. */
const detectorSide = 640;

export default defineModel({
  owner: 'zsxkib',
  name: 'instant-id',
  version: '491ddf5be6b827f8931f088ef10c6d015f6d99685e6454e6f04c8ac298979686',
  createdAt: '2024-04-26T15:51:19.000Z',
  description: 'Make realistic images of real people instantly',
  inputs,
  output: 'file-list',
  weights: [
    ...Object.values(stableDiffusionXl),
    instantId,
    antelopev2,
    lcmLora,
    safetyChecker,
    ...structures.flatMap(({ controlNet, annotator }) => [controlNet, ...annotator.weights]),
  ],

  async *predict(input, context) {
    const { log, signal, residency } = context;
    const seed = input.seed === undefined ? randomInt(65_536) : BigInt(input.seed);
    const normals = cudaNormals(seed);
    log(`Using seed: ${seed}`);

    const photograph = resizeToLongestSide(await readImage(input.image), photographSide, 'image');
    const posed =
      input.pose_image === undefined
        ? undefined
        : resizeToLongestSide(await readImage(input.pose_image, 'pose_image'), poseSide, 'pose_image');
    const controls = structures.filter(({ enable, strength }) => input[enable] && input[strength] > 0);
    const base = stableDiffusionXl[input.sdxl_weights];
    const { set, folderOf } = await locateEach(context.locate, [
      base,
      instantId,
      antelopev2,
      ...controls.flatMap(({ controlNet, annotator }) => [controlNet, ...annotator.weights]),
      ...(input.enable_lcm ? [lcmLora] : []),
      ...(input.disable_safety_checker ? [] : [safetyChecker]),
    ]);
    // Steps and settings that do not go together are refused before any work.
    const schedule = await readSchedulerConfig(folderOf(base));
    const steps = input.enable_lcm ? input.lcm_num_inference_steps : input.num_inference_steps;
    const sampler = instantIdSampler(input.enable_lcm ? 'LCMScheduler' : input.scheduler, schedule, steps);

    if (set === 'full') logFaceLicence(log);
    const faces = await findFaces(photograph, 'image', folderOf(antelopev2), set, context);
    const identity = await embedFace(photograph, widestLowestFace(faces), folderOf(antelopev2), residency);
    // The original takes the last face of the pose, which is the one that its detector is least sure of.
    const face = posed
      ? (await findFaces(posed, 'pose_image', folderOf(antelopev2), set, context)).at(-1)!
      : widestLowestFace(faces);
    signal.throwIfAborted();

    const followed = posed ?? photograph;
    const { width, height } = followed;
    const hints = [pictureToTensor(await drawKeyPoints(face.points, width, height))];
    for (const { annotator } of controls) {
      const structure = await annotator.annotate(followed, { folders: annotator.weights.map(folderOf), residency });
      hints.push(pictureToTensor(resize(structure, width, height, bicubic)));
      signal.throwIfAborted();
    }

    log('Start inference...');
    log(`[Debug] Prompt: ${shortened(input.prompt)}, `);
    log(`[Debug] Neg Prompt: ${shortened(input.negative_prompt)}`);
    const guidance = input.enable_lcm ? input.lcm_guidance_scale : input.guidance_scale;
    const guided = guidance > 1;
    const prompts = guided ? [input.negative_prompt, input.prompt] : [input.prompt];
    const text = await encodeXlPrompts(residency, folderOf(base), prompts, log);
    const adapter = join(folderOf(instantId), faceAdapterFile);
    const nobody = new Float32Array(identity.length);
    const tokens = await faceTokens(residency, adapter, guided ? [nobody, identity] : [identity]);
    const strengths = [input.controlnet_conditioning_scale, ...controls.map(({ strength }) => input[strength])];
    /** Of each condition that the rows are drawn after, everything but latents and timestep. */
    const conditions = prompts.map((_, half) => ({
      ...promptFeeds(text, half, timeIds(height, width)),
      image_prompt_embeds: rowOf(tokens, half),
      ip_adapter_scale: scalar(input.ip_adapter_scale),
      ...(input.enable_lcm ? { 'lora_scale.0': scalar(1) } : {}),
      // Every ControlNet sees the face where others see the text.
      ...numbered('controlnet_encoder_hidden_states', hints, () => rowOf(tokens, half)),
      ...numbered('controlnet_cond', hints, (hint) => hint),
      ...numbered('conditioning_scale', strengths, scalar),
    }));

    const latentSize = { width: width / 8, height: height / 8 };
    const shape = [input.num_outputs, 4, latentSize.height, latentSize.width] as const;
    const nets = [
      join(folderOf(instantId), identityNetFolder),
      ...controls.map((control) => folderOf(control.controlNet)),
    ];
    const unet = unetNetwork(
      join(folderOf(base), 'unet'),
      { batch: 1, ...latentSize, textLength: text.states.dims[1]! },
      {
        controlnets: nets.map((folder) => ({ folder, conditionBatch: 1, contextLength: tokensPerFace })),
        imageTokens: { file: adapter, length: tokensPerFace },
        loras: input.enable_lcm ? [join(folderOf(lcmLora), lcmLoraFile)] : [],
      },
    );
    const latents = await residency.use(unet, (session) =>
      sampler.sample({
        latents: normals.normal(sizeOf(shape)).map((value) => value * sampler.initialNoise),
        drawNoise: (count) => normals.normal(count),
        onStep: stepWithPreview(context, stableDiffusionXlColours, latentSize),
        signal,
        async denoise(latents, timestep) {
          const noise = await predictRows(session, conditions, latents, timestep, signal);
          return guided ? classifierFreeGuidance(noise, guidance) : noise.data;
        },
      }),
    );

    const files: OutputFile[] = [];
    for await (const picture of decodePictures(residency, folderOf(base), float32(shape, latents))) {
      signal.throwIfAborted();
      if (!input.disable_safety_checker) {
        const unsafe = await isUnsafe(residency, folderOf(safetyChecker), picture);
        log(`NSFW content detected: ${unsafe ? 'True' : 'False'}`);
        if (unsafe) throw new InputError('NSFW content detected. Try running it again, or try a different prompt.');
      }
      const { ending, ...encoded } = await encodeImage(picture, input.output_format, input.output_quality);
      const name = `out_${files.length}.${ending}`;
      log(`[~] Saving to ${name}...`);
      log(`[~] Output format: ${ending.toUpperCase()}`);
      if (ending !== 'png') log(`[~] Output quality: ${input.output_quality}`);
      files.push({ name, ...encoded });
    }
    // Not one by one: a picture that is not safe fails the prediction, and then there are none.
    yield* files;
  },
});

/** The surest first. @throws InputError in the original's words when there are none */
async function findFaces(
  picture: RgbImage,
  field: 'image' | 'pose_image',
  folder: string,
  set: LocatedWeights['set'],
  { log, residency }: PredictContext,
): Promise<Face[]> {
  const faces = await detectFaces(picture, detectorSide, folder, residency);
  if (faces.length > 0) return faces;
  const message =
    `Face detector could not find a face in the \`${field}\`. ` + `Please use a different \`${field}\` as input.`;
  return [standInFace(picture, set, { field, message }, log)];
}

/** Inputs of the graph that there are several of: `name.0`, `name.1`, … */
function numbered<Item>(name: string, items: readonly Item[], feed: (item: Item) => Tensor<'float32'>) {
  return Object.fromEntries(items.map((item, index) => [`${name}.${index}`, feed(item)]));
}
