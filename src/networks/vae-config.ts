/**
 * What an autoencoder looks like. Sizes are read off the weights; the rest comes from `config.json`, whose absent keys
 * mean the defaults of the reference (huggingface/diffusers v0.24.0 `AutoencoderKL`).
 */
import type { Weights } from '../weights/scope.ts';
import { asCount, asOptions, asPositive, countOf, type Options, refuseOthers } from './config-options.ts';
import type { Norm } from './unet-config.ts';

interface VaeHalf {
  pictureChannels: number;
  latentChannels: number;
  /** Resnets at each level. */
  layers: number;
  norm: Norm;
}

export interface VaeEncoderConfig extends VaeHalf {
  /** Channels from the largest picture to the smallest. */
  levels: readonly number[];
}

export interface VaeDecoderConfig extends VaeHalf {
  /** Channels from the smallest picture to the largest. */
  levels: readonly number[];
}

export function vaeEncoderConfig(json: unknown, w: Weights): VaeEncoderConfig {
  const encoder = w.at('encoder');
  return {
    pictureChannels: encoder.shape('conv_in.weight')[1]!,
    latentChannels: encoder.shape('conv_out.weight')[0]! / 2,
    ...levelsOf(encoder.at('down_blocks')),
    norm: normOf(json),
  };
}

export function vaeDecoderConfig(json: unknown, w: Weights): VaeDecoderConfig {
  const decoder = w.at('decoder');
  return {
    pictureChannels: decoder.shape('conv_out.weight')[0]!,
    latentChannels: decoder.shape('conv_in.weight')[1]!,
    ...levelsOf(decoder.at('up_blocks')),
    norm: normOf(json),
  };
}

/** What brings latents to about unit variance for the UNet: 0.13025 of Stable Diffusion XL's. */
export function vaeScalingFactor(json: unknown): number {
  const options = asOptions(json);
  // Autoencoders of later families shift their latents too.
  refuseOthers(options, { latents_mean: null, latents_std: null, shift_factor: 0 });
  return asPositive(options.scaling_factor ?? 0.18215, 'scaling_factor');
}

function levelsOf(blocks: Weights): { levels: number[]; layers: number } {
  const count = countOf((index) => blocks.has(`${index}.resnets.0.conv1.weight`));
  return {
    levels: Array.from({ length: count }, (_, index) => blocks.shape(`${index}.resnets.0.conv1.weight`)[0]!),
    layers: countOf((index) => blocks.has(`0.resnets.${index}.conv1.weight`)),
  };
}

function normOf(json: unknown): Norm {
  const options: Options = asOptions(json);
  refuseOthers(options, {
    act_fn: 'silu',
    mid_block_add_attention: true,
    norm_type: 'group',
    use_post_quant_conv: true,
    use_quant_conv: true,
  });
  // The reference fixes this epsilon in code.
  return { groups: asCount(options.norm_num_groups ?? 32, 'norm_num_groups'), epsilon: 1e-6 };
}
