/**
 * A Stable Diffusion XL in one file, in the layout of its training code, as ComfyUI and most who share such models keep
 * it. It lies in the folder of a base in place of the folders of its networks. What no weights tell is here as
 * `stabilityai/stable-diffusion-xl-base-1.0` has it, whose architecture all of them share.
 */
import { basename, dirname, join } from 'node:path';
import { WeightError } from '../base/errors.ts';
import { type Component, splitCheckpoint } from './checkpoint.ts';
import { readWeightFile } from './weight-formats.ts';

/** Its name in the folder of the base. One name and not any: LoRAs and other variants may lie beside it. */
export const singleFile = 'checkpoint.safetensors';

/** A network of such a file. */
export interface SingleFilePart {
  /** Where the file would lie. */
  path: string;
  component: Component;
  /** What stands in for `config.json`. */
  config: Readonly<Record<string, unknown>>;
}

/** By the folders of diffusers' layout. */
const parts: ReadonlyMap<string, Omit<SingleFilePart, 'path'>> = new Map([
  [
    'unet',
    {
      component: 'unet',
      config: { addition_embed_type: 'text_time', addition_time_embed_dim: 256, attention_head_dim: [5, 10, 20] },
    },
  ],
  ['vae', { component: 'vae', config: { scaling_factor: 0.13025 } }],
  [
    'text_encoder',
    { component: 'textEncoder', config: { eos_token_id: 2, hidden_act: 'quick_gelu', num_attention_heads: 12 } },
  ],
  [
    'text_encoder_2',
    { component: 'textEncoder2', config: { eos_token_id: 2, hidden_act: 'gelu', num_attention_heads: 20 } },
  ],
]);

/** @param folder of a network of a base: `<repository>/unet`; `undefined` for the folders of all other networks */
export function singleFilePart(folder: string): SingleFilePart | undefined {
  const part = parts.get(basename(folder));
  return part && { path: join(dirname(folder), singleFile), ...part };
}

/** A tensor of each network without which the network is not there, and what people call the network. */
const marks: readonly (readonly [Component, tensor: string, title: string])[] = [
  ['unet', 'conv_in.weight', 'UNet'],
  ['vae', 'decoder.conv_in.weight', 'autoencoder (VAE)'],
  ['textEncoder', 'text_model.embeddings.token_embedding.weight', 'first text encoder'],
  ['textEncoder2', 'text_model.embeddings.token_embedding.weight', 'second text encoder'],
];

/**
 * A network that is missing would be noticed when it is its turn: the autoencoder's after all steps.
 *
 * @throws WeightError naming the file and what it lacks
 */
export async function demandAllNetworks(path: string): Promise<void> {
  const components = splitCheckpoint(await readWeightFile(path), path);
  const missing = marks.filter(([component, tensor]) => !components?.[component]?.has(tensor));
  if (missing.length === 0) return;
  throw new WeightError(
    `The checkpoint ${path} has no ${missing.map(([, , title]) => title).join(', no ')}. A Stable Diffusion XL in one file ` +
      'holds its UNet, its autoencoder (VAE) and both text encoders, named as its training code names them: put one that ' +
      "has all of them in its place, or remove it and put diffusers' folders of the model there.",
  );
}

/** `scheduler/scheduler_config.json` of SDXL base 1.0, which its descendants have taken over. */
export const stableDiffusionXlSchedule = {
  _class_name: 'EulerDiscreteScheduler',
  beta_end: 0.012,
  beta_schedule: 'scaled_linear',
  beta_start: 0.00085,
  clip_sample: false,
  interpolation_type: 'linear',
  num_train_timesteps: 1000,
  prediction_type: 'epsilon',
  sample_max_value: 1,
  set_alpha_to_one: false,
  skip_prk_steps: true,
  steps_offset: 1,
  timestep_spacing: 'leading',
  trained_betas: null,
  use_karras_sigmas: false,
} as const;
