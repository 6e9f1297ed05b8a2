/**
 * `fofr/face-to-many`: a photograph of a person redrawn in one of six styles. Stable Diffusion XL with the style as a
 * LoRA, InstantID (arXiv 2401.07519) for the face and a ControlNet for its depth, begun from the photograph itself.
 *
 * Behaves as the graph that fofr/cog-face-to-many at f168c5e runs in ComfyUI at ae77590b, with cubiq/ComfyUI_InstantID at
 * 0fcf494; what differs on purpose is listed in docs/models/face-to-many.md.
 */
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { midasWeights } from '../annotators/midas.ts';
import { paddedDepth } from '../annotators/midas-padded.ts';
import { InputError } from '../base/errors.ts';
import { encodePng, type RgbImage, readImage } from '../base/image.ts';
import type { InputOf } from '../catalog/fields.ts';
import { defineModel, type PredictContext, type WeightRepository } from '../catalog/model.ts';
import { antelopev2 } from '../faces/antelopev2.ts';
import { type Identity, identityOf } from '../faces/identity.ts';
import { strangersEmbedding } from '../faces/strangers-embedding.ts';
import { brownianNoise, brownianTree } from '../math/brownian-tree.ts';
import { cpuNormals, cudaNormals } from '../math/random.ts';
import { float32, rowOf, scalar, type Tensor } from '../math/tensor.ts';
import { unetNetwork } from '../networks/unet.ts';
import { cropToMultiple, fitInto, hintPicture } from '../pipeline/comfy-pictures.ts';
import { type ComfyTokens, encodeComfyPrompts, tokenizeComfyPrompts } from '../pipeline/comfy-prompt.ts';
import type { Size } from '../pipeline/control-size.ts';
import { decodePictures } from '../pipeline/decode.ts';
import { encodePicture } from '../pipeline/encode.ts';
import { styleLoras, zoeControlNet } from '../pipeline/face-to-many-files.ts';
import { checkNumbers } from '../pipeline/face-to-many-numbers.ts';
import { faceTokens, tokensPerFace } from '../pipeline/face-tokens.ts';
import { classifierFreeGuidance } from '../pipeline/guidance.ts';
import { faceAdapterFile, identityNetFolder, instantId } from '../pipeline/instant-id-files.ts';
import { type EachLocated, locateEach } from '../pipeline/locate-each.ts';
import { pictureToTensor } from '../pipeline/picture.ts';
import { type ConditionFeeds, predictRows } from '../pipeline/predict-rows.ts';
import { stableDiffusionXlColours, stepWithPreview } from '../pipeline/preview.ts';
import { albedoBaseXl13 } from '../pipeline/stable-diffusion-xl-files.ts';
import { promptFeeds, timeIds } from '../pipeline/stable-diffusion-xl-prompt.ts';
import type { Residency } from '../runtime/residency.ts';
import { comfyKarrasLadder } from '../schedulers/comfy-ladder.ts';
import { dpmpp2mSde } from '../schedulers/dpmpp-2m-sde.ts';
import { styledPrompts } from '../text/face-to-many-styles.ts';
import { fitLora } from '../weights/fit-lora.ts';
import { weightFiles } from '../weights/inventory.ts';
import type { LoraFile } from '../weights/lora.ts';
import { inputs } from './inputs/face-to-many.ts';

/** The photograph's longer side. */
const longestSide = 1024;
/** Of the smaller side of the picture that depth is read off. */
const depthResolution = 512;
/** As many whatever `denoising_strength` is: it says where they begin. */
const steps = 17;
/** The ladder that the steps are the end of grows as this shrinks; the original fills its memory with it. */
const leastDenoising = 0.0001;

type Input = InputOf<typeof inputs>;

export default defineModel({
  owner: 'fofr',
  name: 'face-to-many',
  version: 'a07f252abbbd832009640b27f063ea52d87d7a23a185ca165bec23b5adc8deaf',
  createdAt: '2024-03-08T00:00:00.000Z',
  description: 'Turn a face into 3D, emoji, pixel art, video game, claymation or toy',
  inputs,
  output: 'file-list',
  weights: [albedoBaseXl13, instantId, antelopev2, midasWeights, zoeControlNet, ...Object.values(styleLoras)],

  async *predict(input, context) {
    const { log, signal, residency } = context;
    if (input.image === undefined) throw new InputError('No image provided. Send a photograph as image.', 'image');
    const redraws = input.denoising_strength > 0;
    if (redraws && input.denoising_strength < leastDenoising) {
      throw new InputError(
        `denoising_strength is ${input.denoising_strength}; use 0, or at least ${leastDenoising}.`,
        'denoising_strength',
      );
    }
    const seed = seedOf(input.seed, log);
    const photograph = fitInto(await readImage(input.image), longestSide, 'image');
    const located = await locateEach(context.locate, neededFor(input));
    const style = redraws ? await styleOf(input, located, log) : undefined;
    const faces = { set: located.set, folder: located.folderOf(antelopev2) };
    const face = await identityOf(photograph, faces, context);
    signal.throwIfAborted();

    const base = located.folderOf(albedoBaseXl13);
    const latents = await encodePicture(residency, base, cropToMultiple(photograph, 8));
    const task = { input, seed, photograph, face, latents };
    const finished = style ? await redraw({ ...task, style }, located, context) : latents;
    const rounding = { toWhole: Math.trunc };
    for await (const picture of decodePictures(residency, base, finished, rounding)) {
      yield { name: 'ComfyUI_00001_.png', contentType: 'image/png', bytes: await encodePng(picture) };
    }
  },
});

/** Of nothing but what the inputs ask for. */
function neededFor(input: Input): WeightRepository[] {
  const always = [albedoBaseXl13, antelopev2];
  if (input.denoising_strength === 0) return always;
  return [
    ...always,
    instantId,
    ...(input.control_depth_strength > 0 ? [midasWeights, zoeControlNet] : []),
    ...(input.custom_lora_url === undefined ? [styleLoras[input.style]] : []),
  ];
}

interface Style {
  /** The one to follow and the one to lead away from. */
  prompts: ComfyTokens[];
  lora: LoraFile;
}

/** With a LoRA of the caller's the prompts are used as they are. Nothing is loaded yet: what cannot be used fails at once. */
async function styleOf(input: Input, { folderOf }: EachLocated, log: (line: string) => void): Promise<Style> {
  const { style, prompt, negative_prompt: negativePrompt, custom_lora_url: own } = input;
  const words = own === undefined ? styledPrompts(style, prompt, negativePrompt) : { prompt, negativePrompt };
  const texts = [
    { text: words.prompt, field: 'prompt' },
    { text: words.negativePrompt, field: 'negative_prompt' },
  ];
  const file = own ?? join(folderOf(styleLoras[style]), weightFiles(styleLoras[style])[0]!.path);
  const options = { base: folderOf(albedoBaseXl13), log, ...(own === undefined ? {} : { field: 'custom_lora_url' }) };
  return { prompts: tokenizeComfyPrompts(texts, log), lora: await fitLora(file, options) };
}

interface Task {
  input: Input;
  style: Style;
  seed: bigint;
  photograph: RgbImage;
  face: Identity;
  /** Of the photograph. */
  latents: Tensor<'float32'>;
}

/** The latents of the picture that the photograph becomes. */
async function redraw(task: Task, located: EachLocated, context: PredictContext): Promise<Tensor<'float32'>> {
  const { input, style, seed, face, latents } = task;
  const { signal, residency } = context;
  const base = located.folderOf(albedoBaseXl13);
  const [, , height, width] = latents.dims as [number, number, number, number];
  const size = { width: 8 * width, height: 8 * height };

  const loras = [style.lora];
  const texts = await encodeComfyPrompts(residency, base, style.prompts, { files: loras, scale: input.lora_scale });
  signal.throwIfAborted();
  const adapter = join(located.folderOf(instantId), faceAdapterFile);
  const faces = await faceTokens(residency, adapter, [face.embedding, strangersEmbedding(face.embedding)]);
  const controls = await controlsOf(task, size, located, residency);
  signal.throwIfAborted();

  const unet = unetNetwork(
    join(base, 'unet'),
    { batch: 1, height, width, textLength: texts[0]!.states.dims[1]! },
    {
      controlnets: controls.map(({ folder }) => ({ folder, conditionBatch: 1, contextLength: tokensPerFace })),
      imageTokens: { file: adapter, length: tokensPerFace },
      loras,
    },
  );
  const shared = {
    ip_adapter_scale: scalar(input.instant_id_strength),
    'lora_scale.0': scalar(input.lora_scale),
    ...Object.fromEntries(
      controls.flatMap(({ hint, strength }, index) => [
        [`controlnet_cond.${index}`, pictureToTensor(hint)],
        [`conditioning_scale.${index}`, scalar(strength)],
      ]),
    ),
  };
  const [positive, negative] = texts.map((states, row) => {
    const tokens = rowOf(faces, row);
    // The ControlNets are told of the face alone: ComfyUI hands what InstantID's node sets to all of a chain.
    const contexts = controls.map((_, index) => [`controlnet_encoder_hidden_states.${index}`, tokens]);
    const text = promptFeeds(states, 0, timeIds(size.height, size.width));
    return { ...shared, ...text, image_prompt_embeds: tokens, ...Object.fromEntries(contexts) };
  }) as [ConditionFeeds, ConditionFeeds];
  const strength = input.prompt_strength;
  const conditions = strength === 1 ? [positive] : strength === 0 ? [negative] : [negative, positive];

  const ladder = comfyKarrasLadder(steps, input.denoising_strength);
  const count = latents.data.length;
  const [start, end] = [ladder.sigmas.at(-2)!, ladder.sigmas[0]!];
  const tree = brownianTree({ start, end, seed, count, normals: cudaNormals });
  const noise = cpuNormals(seed).normal(count);
  const sample = await residency.use(unet, (session) =>
    dpmpp2mSde(ladder, brownianNoise(tree), {
      latents: latents.data.map((value, index) => value + noise[index]! * ladder.noiseScale),
      onStep: stepWithPreview(context, stableDiffusionXlColours, { width, height }),
      signal,
      async denoise(current, timestep) {
        const predicted = await predictRows(session, conditions, current, timestep, signal);
        checkNumbers(predicted.data, input.custom_lora_url !== undefined, style.prompts);
        return conditions.length === 1 ? predicted.data : classifierFreeGuidance(predicted, strength);
      },
    }),
  );
  return float32(latents.dims, sample);
}

interface Control {
  folder: string;
  hint: RgbImage;
  strength: number;
}

/** Those that have any strength: what they add is multiplied by it. */
async function controlsOf(
  { input, photograph, face }: Task,
  size: Size,
  located: EachLocated,
  residency: Residency,
): Promise<Control[]> {
  const controls: Control[] = [];
  if (input.control_depth_strength > 0) {
    const depth = await paddedDepth(photograph, depthResolution, located.folderOf(midasWeights), residency);
    controls.push({
      folder: located.folderOf(zoeControlNet),
      hint: hintPicture(depth, size),
      strength: input.control_depth_strength,
    });
  }
  if (input.instant_id_strength > 0) {
    controls.push({
      folder: join(located.folderOf(instantId), identityNetFolder),
      hint: hintPicture(face.keyPoints, size),
      strength: input.instant_id_strength,
    });
  }
  return controls;
}

/** As ComfyUI takes it. @throws InputError outside of 64 bits */
function seedOf(given: number | string | undefined, log: (line: string) => void): bigint {
  if (given === undefined) {
    const seed = randomInt(2 ** 32);
    log(`Random seed set to: ${seed}`);
    return BigInt(seed);
  }
  const seed = BigInt(given);
  if (seed < 0n || seed >= 2n ** 64n) {
    throw new InputError(
      `seed is ${seed}; send a whole number from 0 to 18446744073709551615, or leave it out.`,
      'seed',
    );
  }
  return seed;
}
