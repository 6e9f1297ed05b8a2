/**
 * `tencentarc/photomaker`: pictures of a person in any style, after one to four photographs (arXiv 2312.04461).
 *
 * Behaves as version ddfc2b08 of the original (TencentARC/PhotoMaker at 6ec44fc, diffusers 0.25.0, transformers
 * 4.36.2); what differs on purpose is listed in docs/models/photomaker.md.
 */
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { encodePng } from '../base/image.ts';
import { choice, image, integer, number, text, toggle } from '../catalog/fields.ts';
import { defineModel, type WeightRepository } from '../catalog/model.ts';
import { cudaNormals } from '../math/random.ts';
import { float32, scalar, type Tensor } from '../math/tensor.ts';
import { unetNetwork } from '../networks/unet.ts';
import { decodePictures } from '../pipeline/decode.ts';
import { classifierFreeGuidance } from '../pipeline/guidance.ts';
import { locateEach } from '../pipeline/locate-each.ts';
import { mixIdentity, photographSide, readPhotograph } from '../pipeline/photomaker-identity.ts';
import { predictRows } from '../pipeline/predict-rows.ts';
import { stableDiffusionXlColours, stepWithPreview } from '../pipeline/preview.ts';
import { lastPlainStep, promptOfStep } from '../pipeline/prompt-switch.ts';
import { isUnsafe } from '../pipeline/safety.ts';
import { readSchedulerConfig } from '../pipeline/scheduler-file.ts';
import { shortened } from '../pipeline/shortened.ts';
import { realVisXl3, safetyChecker } from '../pipeline/stable-diffusion-xl-files.ts';
import {
  encodeXlPrompts,
  encodeXlTokens,
  promptFeeds,
  timeIds,
  xlPadding,
} from '../pipeline/stable-diffusion-xl-prompt.ts';
import { samplerFromConfig } from '../schedulers/from-config.ts';
import { windowLength } from '../text/clip-tokenizer.ts';
import { applyStyle, photomakerStyleNames } from '../text/photomaker-styles.ts';
import { checkTriggers, identityPrompt, withoutTrigger } from '../text/trigger-word.ts';

/** Holds the identity encoder, and the LoRA that teaches the base what the encoder writes into a prompt. */
const adapterFile = 'photomaker-v1.bin';
const photoMaker: WeightRepository = {
  repository: 'TencentARC/PhotoMaker',
  files: [adapterFile],
  licence: 'Apache 2.0',
  commercialUse: true,
};

/** Pictures have no other size. */
const side = 1024;
const latentSize = { width: side / 8, height: side / 8 };
const largestSeed = 2_147_483_647;

const furtherPhotograph = image({ description: 'Additional input image (optional)', optional: true });

const inputs = {
  // Clients that know one picture of a model send it as `image`.
  input_image: image({ description: 'The input image, for example a photo of your face.', alias: 'image' }),
  input_image2: furtherPhotograph,
  input_image3: furtherPhotograph,
  input_image4: furtherPhotograph,
  prompt: text({
    description: "Prompt. Example: 'a photo of a man/woman img'. The phrase 'img' is the trigger word.",
    default: 'A photo of a person img',
  }),
  style_name: choice(photomakerStyleNames, {
    description:
      "Style template. The style template will add a style-specific prompt and negative prompt to the user's prompt.",
    default: 'Photographic (Default)',
  }),
  negative_prompt: text({
    description: 'Negative Prompt. The negative prompt should NOT contain the trigger word.',
    default:
      'nsfw, lowres, bad anatomy, bad hands, text, error, missing fingers, extra digit, fewer digits, cropped, worst ' +
      'quality, low quality, normal quality, jpeg artifacts, signature, watermark, username, blurry',
  }),
  num_steps: integer({ description: 'Number of sample steps', default: 20, minimum: 1, maximum: 100 }),
  style_strength_ratio: number({ description: 'Style strength (%)', default: 20, minimum: 15, maximum: 50 }),
  num_outputs: integer({ description: 'Number of output images', default: 1, minimum: 1, maximum: 4 }),
  guidance_scale: number({
    description: 'Guidance scale. A guidance scale of 1 corresponds to doing no classifier free guidance.',
    default: 5,
    minimum: 1,
    maximum: 10,
  }),
  seed: integer({
    description: 'Seed. Leave blank to use a random number',
    optional: true,
    minimum: 0,
    maximum: largestSeed,
  }),
  disable_safety_checker: toggle({
    description: 'Disable safety checker for generated images.',
    default: false,
  }),
};
const photographInputs = ['input_image', 'input_image2', 'input_image3', 'input_image4'] as const;

export default defineModel({
  owner: 'tencentarc',
  name: 'photomaker',
  version: 'ddfc2b08d209f9fa8c1eca692712918bd449f695dabb4a958da31802a9570fe4',
  createdAt: '2024-01-20T00:00:00.000Z',
  description: 'Create photos, paintings and avatars for anyone in any style within seconds.',
  inputs,
  output: 'file-list',
  weights: [realVisXl3, photoMaker, safetyChecker],

  async *predict(input, context) {
    const { log, signal, residency } = context;
    const seed = input.seed ?? randomInt(largestSeed + 1);
    log(`Using seed ${seed}...`);
    checkTriggers(input.prompt, input.negative_prompt);
    const { prompt, negativePrompt } = applyStyle(input.style_name, input.prompt, input.negative_prompt);

    const isChecked = !input.disable_safety_checker;
    const needed = [realVisXl3, photoMaker, ...(isChecked ? [safetyChecker] : [])];
    const { folderOf } = await locateEach(context.locate, needed);
    const base = folderOf(realVisXl3);
    const adapter = join(folderOf(photoMaker), adapterFile);
    const seenSide = await photographSide(adapter);
    const photographs: Tensor<'float32'>[] = [];
    for (const field of photographInputs) {
      const path = input[field];
      if (path === undefined) continue;
      log(`Loading image ${field}...`);
      photographs.push(await readPhotograph(path, field, seenSide));
    }

    log('Setting seed...');
    const normals = cudaNormals(seed);
    log('Start inference...');
    log(`[Debug] Prompt: ${shortened(prompt)}`);
    log(`[Debug] Neg Prompt: ${shortened(negativePrompt)}`);
    const lastPlain = lastPlainStep(input.style_strength_ratio, input.num_steps);
    log(`Start merge step: ${lastPlain}`);

    // With the photographs: a prompt that has its class word once for each of them.
    const first = identityPrompt(prompt, photographs.length, xlPadding.first);
    const second = identityPrompt(prompt, photographs.length, xlPadding.second);
    // The class word's place is that of the second for both, also where it differs: `!!` may be one token to the first.
    const used = second.classTokens.filter(Boolean).length;
    if (used < photographs.length) {
      log(`The trigger word comes so late in the prompt that ${used} of ${photographs.length} photographs are used.`);
    }
    const tokens = { first: [first.ids], second: [second.ids] };
    const words = await encodeXlTokens(residency, base, tokens, { states: 'penultimate' });
    const mixed = await mixIdentity(residency, adapter, photographs, words.states, second.classTokens);
    // Without them: what to keep away from, and the prompt of the first steps.
    const sizes = timeIds(side, side);
    const encode = (text: string) => encodeXlPrompts(residency, base, [text], log);
    const negativeFeeds = promptFeeds(await encode(negativePrompt), 0, sizes);
    const plainFeeds = promptFeeds(await encode(withoutTrigger(prompt)), 0, sizes);
    const identityFeeds = promptFeeds({ states: mixed, pooled: words.pooled }, 0, sizes);
    signal.throwIfAborted();

    const schedule = await readSchedulerConfig(base);
    const sampler = samplerFromConfig('EulerDiscreteScheduler', schedule, { steps: input.num_steps });
    const pictures = input.num_outputs;
    const shape = { batch: 1, ...latentSize, textLength: windowLength };
    const unet = unetNetwork(join(base, 'unet'), shape, { loras: [adapter] });
    const loraScale = { 'lora_scale.0': scalar(1) };
    const latents = await residency.use(unet, (session) =>
      sampler.sample({
        latents: normals
          .normal(pictures * 4 * latentSize.height * latentSize.width)
          .map((value) => value * sampler.initialNoise),
        drawNoise: (count) => normals.normal(count),
        onStep: stepWithPreview(context, stableDiffusionXlColours, latentSize),
        signal,
        async denoise(latents, timestep, step) {
          const prompted = promptOfStep(step, lastPlain, plainFeeds, identityFeeds);
          const conditions = [negativeFeeds, prompted].map((feeds) => ({ ...feeds, ...loraScale }));
          const noise = await predictRows(session, conditions, latents, timestep, signal);
          return classifierFreeGuidance(noise, input.guidance_scale);
        },
      }),
    );

    const finished = float32([pictures, 4, latentSize.height, latentSize.width], latents);
    if (isChecked) log('Running safety checker...');
    log('Saving images to file...');
    let index = 0;
    for await (const picture of decodePictures(residency, base, finished)) {
      signal.throwIfAborted();
      // The names of the others stay as they would be.
      const name = `image_${index}.png`;
      if (isChecked && (await isUnsafe(residency, folderOf(safetyChecker), picture))) {
        log(`NSFW content detected in image ${index}`);
      } else {
        yield { name, contentType: 'image/png', bytes: await encodePng(picture) };
      }
      index++;
    }
  },
});
