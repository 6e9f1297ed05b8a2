/**
 * What a network looks like. Sizes are read off the shapes of the weights; what no shape tells (heads, groups,
 * epsilons) comes from the reference's `config.json`, whose absent keys mean the defaults of the reference
 * (huggingface/diffusers v0.24.0 `UNet2DConditionModel`, `ControlNetModel`, `AutoencoderKL`; huggingface/transformers
 * v4.29.1 `CLIPTextConfig`). An option that the networks here do not have is refused and never passed over.
 */
import { WeightError } from '../base/errors.ts';
import type { Weights } from '../weights/scope.ts';

export interface Norm {
  groups: number;
  epsilon: number;
}

/** One resolution of a UNet. */
export interface UnetLevel {
  channels: number;
  /** Heads of every attention. */
  heads: number;
  /** Transformer blocks in each attention layer; 0 where the level has none. */
  depth: number;
}

/** The half of a UNet that a ControlNet shares. */
export interface UnetEncoderConfig {
  inChannels: number;
  levels: readonly UnetLevel[];
  /** Resnets at each level on the way down; one more on the way up. */
  layers: number;
  /** Transformer blocks in the middle, which has the heads of the last level. */
  middleDepth: number;
  contextWidth: number;
  /** The projections around the transformer are matrices (SDXL) and not 1x1 convolutions (SD 1.5). */
  linearProjection: boolean;
  norm: Norm;
}

export interface UnetConfig extends UnetEncoderConfig {
  outChannels: number;
}

export interface ControlnetConfig extends UnetEncoderConfig {
  /** Channels of the convolutions that bring the condition down to the latents' size. */
  conditionChannels: readonly number[];
  conditionOrder: 'rgb' | 'bgr';
}

export interface VaeDecoderConfig {
  latentChannels: number;
  /** From the smallest picture to the largest. */
  levels: readonly number[];
  /** Resnets at each level. */
  layers: number;
  norm: Norm;
}

export interface ClipTextConfig {
  vocabulary: number;
  positions: number;
  width: number;
  mlpWidth: number;
  layers: number;
  heads: number;
  activation: 'quick_gelu' | 'gelu';
  epsilon: number;
}

type Options = Record<string, unknown>;

export function unetConfig(json: unknown, w: Weights): UnetConfig {
  return { ...encoderConfig(json, w), outChannels: w.shape('conv_out.weight')[0]! };
}

export function controlnetConfig(json: unknown, w: Weights): ControlnetConfig {
  const options = asOptions(json);
  const order = options.controlnet_conditioning_channel_order ?? 'rgb';
  if (order !== 'rgb' && order !== 'bgr') throw unsupported('controlnet_conditioning_channel_order', order);
  const embedding = w.at('controlnet_cond_embedding');
  const conditionChannels = [embedding.shape('conv_in.weight')[0]!];
  for (let index = 1; embedding.has(`blocks.${index}.weight`); index += 2) {
    conditionChannels.push(embedding.shape(`blocks.${index}.weight`)[0]!);
  }
  return { ...encoderConfig(json, w), conditionChannels, conditionOrder: order };
}

function encoderConfig(json: unknown, w: Weights): UnetEncoderConfig {
  const options = asOptions(json);
  refuseOthers(options, {
    act_fn: 'silu',
    addition_embed_type: null,
    attention_type: 'default',
    center_input_sample: false,
    class_embed_type: null,
    downsample_padding: 1,
    dual_cross_attention: false,
    encoder_hid_dim_type: null,
    flip_sin_to_cos: true,
    freq_shift: 0,
    global_pool_conditions: false,
    mid_block_scale_factor: 1,
    mid_block_type: 'UNetMidBlock2DCrossAttn',
    num_class_embeds: null,
    only_cross_attention: false,
    resnet_out_scale_factor: 1,
    resnet_skip_time_act: false,
    resnet_time_scale_shift: 'default',
    time_embedding_act_fn: null,
    time_embedding_type: 'positional',
    timestep_post_act: null,
  });
  const count = countOf((index) => w.has(`down_blocks.${index}.resnets.0.conv1.weight`));
  // `attention_head_dim` holds the number of heads: a slip of the reference that its files have kept.
  const heads = options.num_attention_heads ?? options.attention_head_dim ?? 8;
  const levels = Array.from({ length: count }, (_, index): UnetLevel => {
    const block = w.at(`down_blocks.${index}`);
    return {
      channels: block.shape('resnets.0.conv1.weight')[0]!,
      heads: asCount(Array.isArray(heads) ? heads[index] : heads, 'attention_head_dim'),
      depth: transformerDepth(block.at('attentions.0')),
    };
  });
  return {
    inChannels: w.shape('conv_in.weight')[1]!,
    levels,
    layers: countOf((index) => w.has(`down_blocks.0.resnets.${index}.conv1.weight`)),
    middleDepth: transformerDepth(w.at('mid_block.attentions.0')),
    contextWidth: w.shape('mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight')[1]!,
    linearProjection: w.shape('mid_block.attentions.0.proj_in.weight').length === 2,
    norm: {
      groups: asCount(options.norm_num_groups ?? 32, 'norm_num_groups'),
      epsilon: asPositive(options.norm_eps ?? 1e-5, 'norm_eps'),
    },
  };
}

function transformerDepth(attention: Weights): number {
  return countOf((index) => attention.has(`transformer_blocks.${index}.norm1.weight`));
}

export function vaeDecoderConfig(json: unknown, w: Weights): VaeDecoderConfig {
  const options = asOptions(json);
  refuseOthers(options, { act_fn: 'silu', norm_type: 'group' });
  const blocks = w.at('decoder.up_blocks');
  const count = countOf((index) => blocks.has(`${index}.resnets.0.conv1.weight`));
  return {
    latentChannels: w.shape('decoder.conv_in.weight')[1]!,
    levels: Array.from({ length: count }, (_, index) => blocks.shape(`${index}.resnets.0.conv1.weight`)[0]!),
    layers: countOf((index) => blocks.has(`0.resnets.${index}.conv1.weight`)),
    // The reference fixes this epsilon in code.
    norm: { groups: asCount(options.norm_num_groups ?? 32, 'norm_num_groups'), epsilon: 1e-6 },
  };
}

export function clipTextConfig(json: unknown, w: Weights): ClipTextConfig {
  const options = asOptions(json);
  const activation = options.hidden_act ?? 'quick_gelu';
  if (activation !== 'quick_gelu' && activation !== 'gelu') throw unsupported('hidden_act', activation);
  const model = w.at('text_model');
  const [vocabulary, width] = model.shape('embeddings.token_embedding.weight') as [number, number];
  return {
    vocabulary,
    width,
    positions: model.shape('embeddings.position_embedding.weight')[0]!,
    mlpWidth: model.shape('encoder.layers.0.mlp.fc1.weight')[0]!,
    layers: countOf((index) => model.has(`encoder.layers.${index}.layer_norm1.weight`)),
    heads: asCount(options.num_attention_heads ?? 8, 'num_attention_heads'),
    activation,
    epsilon: asPositive(options.layer_norm_eps ?? 1e-5, 'layer_norm_eps'),
  };
}

/** How many indices from 0 on satisfy the condition. */
function countOf(exists: (index: number) => boolean): number {
  let count = 0;
  while (exists(count)) count++;
  return count;
}

function asOptions(json: unknown): Options {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new WeightError('A config.json does not hold an object.');
  }
  return json as Options;
}

function refuseOthers(options: Options, supported: Options): void {
  for (const [key, value] of Object.entries(supported)) {
    const given = options[key];
    if (given !== undefined && given !== null && given !== value) throw unsupported(key, given);
  }
}

function asCount(value: unknown, key: string): number {
  if (!Number.isSafeInteger(value) || (value as number) < 1) throw unsupported(key, value);
  return value as number;
}

function asPositive(value: unknown, key: string): number {
  if (typeof value !== 'number' || !(value > 0)) throw unsupported(key, value);
  return value;
}

function unsupported(key: string, value: unknown): WeightError {
  return new WeightError(
    `A config.json sets "${key}" to ${JSON.stringify(value)}, which this network cannot do. ` +
      'Use weights of the kind that the model names.',
  );
}
