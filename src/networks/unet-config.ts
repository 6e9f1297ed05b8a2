/**
 * What a UNet and its ControlNets look like. The layout is read off the names and shapes of the weights; what no shape
 * tells (heads, groups, epsilons) comes from the reference's `config.json`, whose absent keys mean the defaults of the
 * reference (huggingface/diffusers v0.24.0 `UNet2DConditionModel`, `ControlNetModel`). An option that the networks here
 * do not have is refused and never passed over; `upcast_attention` changes nothing in float32.
 */
import { WeightError } from '../base/errors.ts';
import type { Weights } from '../weights/scope.ts';
import { asCount, asOptions, asPositive, countOf, type Options, refuseOthers, unsupported } from './config-options.ts';

export interface Norm {
  groups: number;
  epsilon: number;
  /** Pictures of the batch that follow each other and are normalized as one, as some motion modules want it. */
  frames?: number;
}

/** The layers at one resolution. */
export interface UnetBlock {
  channels: number;
  /** Heads of every attention. */
  heads: number;
  /** For each layer its transformer blocks; `null` where it has no transformer around them either. */
  depths: readonly (number | null)[];
}

/** The half of a UNet that a ControlNet shares. */
export interface UnetEncoderConfig {
  inChannels: number;
  down: readonly UnetBlock[];
  /** A resnet, and one more behind each layer. */
  middle: UnetBlock;
  contextWidth: number;
  /** The projections around the transformer are matrices (SDXL) and not 1x1 convolutions (SD 1.5). */
  linearProjection: boolean;
  norm: Norm;
  /** Pooled text and sizes beside the timestep (SDXL). */
  added?: AddedConditions;
}

export interface AddedConditions {
  pooledWidth: number;
  /** Numbers in `time_ids`. */
  timeIds: number;
  /** Values that each of them becomes. */
  timeWidth: number;
}

export interface UnetConfig extends UnetEncoderConfig {
  outChannels: number;
  up: readonly UnetBlock[];
}

export interface ControlnetConfig extends UnetEncoderConfig {
  /** Channels of the convolutions that bring the condition down to the latents' size. */
  conditionChannels: readonly number[];
  conditionOrder: 'rgb' | 'bgr';
}

export interface UnetLevel {
  channels: number;
  heads: number;
  /** Transformer blocks of each layer. */
  depth: number | null;
}

/** The layout of the published networks: the way up mirrors the way down, with one more layer on each level. */
export function mirrored(levels: readonly UnetLevel[], layers: number): Pick<UnetConfig, 'down' | 'middle' | 'up'> {
  const block = ({ depth, ...level }: UnetLevel, count: number): UnetBlock => ({
    ...level,
    depths: new Array<number | null>(count).fill(depth),
  });
  const deepest = Math.max(...levels.map(({ depth }) => depth ?? 0));
  return {
    down: levels.map((level) => block(level, layers)),
    middle: block({ ...levels.at(-1)!, depth: deepest }, 1),
    up: levels.toReversed().map((level) => block(level, layers + 1)),
  };
}

export function unetConfig(json: unknown, w: Weights): UnetConfig {
  const options = asOptions(json);
  const { down, ...encoder } = encoderConfig(options, w);
  const heads = headsOf(options, down.length).toReversed();
  return {
    ...encoder,
    down,
    outChannels: w.shape('conv_out.weight')[0]!,
    up: down.map((_, index) => unetBlock(w.at(`up_blocks.${index}`), heads[index]!, 0)),
  };
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
  return { ...encoderConfig(options, w), conditionChannels, conditionOrder: order };
}

const blockTypes = {
  down_block_types: ['CrossAttnDownBlock2D', 'DownBlock2D'],
  up_block_types: ['CrossAttnUpBlock2D', 'UpBlock2D'],
};

function encoderConfig(options: Options, w: Weights): UnetEncoderConfig {
  for (const [key, known] of Object.entries(blockTypes)) {
    const types = options[key] ?? [];
    if (!Array.isArray(types)) throw unsupported(key, types);
    for (const type of types) if (!known.includes(type)) throw unsupported(key, type);
  }
  const crossOnly = options.only_cross_attention;
  refuseOthers(
    { ...options, only_cross_attention: Array.isArray(crossOnly) ? crossOnly.some(Boolean) : crossOnly },
    {
      act_fn: 'silu',
      addition_embed_type: 'text_time',
      attention_type: 'default',
      center_input_sample: false,
      class_embed_type: null,
      class_embeddings_concat: false,
      conv_in_kernel: 3,
      conv_out_kernel: 3,
      cross_attention_norm: null,
      downsample_padding: 1,
      dual_cross_attention: false,
      encoder_hid_dim: null,
      encoder_hid_dim_type: null,
      flip_sin_to_cos: true,
      freq_shift: 0,
      global_pool_conditions: false,
      mid_block_only_cross_attention: false,
      mid_block_scale_factor: 1,
      num_class_embeds: null,
      only_cross_attention: false,
      resnet_out_scale_factor: 1,
      resnet_skip_time_act: false,
      resnet_time_scale_shift: 'default',
      time_cond_proj_dim: null,
      time_embedding_act_fn: null,
      time_embedding_type: 'positional',
      timestep_post_act: null,
    },
  );
  // Null would be a network without a middle.
  const { mid_block_type: middleType = 'UNetMidBlock2DCrossAttn' } = options;
  if (middleType !== 'UNetMidBlock2DCrossAttn' && middleType !== 'UNetMidBlock2D') {
    throw unsupported('mid_block_type', middleType);
  }
  const count = countOf((index) => w.has(`down_blocks.${index}.resnets.0.conv1.weight`));
  const heads = headsOf(options, count);
  const down = heads.map((own, index) => unetBlock(w.at(`down_blocks.${index}`), own, 0));
  const middle = unetBlock(w.at('mid_block'), heads.at(-1) ?? 1, 1);
  const attention = firstTransformer(w, [...down, middle]);
  const contexts = [options.cross_attention_dim ?? 1280].flat();
  return {
    inChannels: w.shape('conv_in.weight')[1]!,
    down,
    middle,
    contextWidth: asCount(
      attention?.block ? attention.w.shape(`${attention.block}.attn2.to_k.weight`)[1] : contexts.at(-1),
      'cross_attention_dim',
    ),
    linearProjection: attention !== undefined && attention.w.shape('proj_in.weight').length === 2,
    norm: {
      groups: asCount(options.norm_num_groups ?? 32, 'norm_num_groups'),
      epsilon: asPositive(options.norm_eps ?? 1e-5, 'norm_eps'),
    },
    ...addedConditions(options, w),
  };
}

/** `attention_head_dim` holds the number of heads: a slip of the reference that its files have kept. */
function headsOf(options: Options, levels: number): number[] {
  const heads = options.num_attention_heads ?? options.attention_head_dim ?? 8;
  return Array.from({ length: levels }, (_, index) =>
    asCount(Array.isArray(heads) ? heads[index] : heads, 'attention_head_dim'),
  );
}

/** @param without resnets that no layer belongs to: the first in the middle */
function unetBlock(w: Weights, heads: number, without: number): UnetBlock {
  const resnets = countOf((index) => w.has(`resnets.${index}.conv1.weight`));
  const depths = Array.from({ length: Math.max(0, resnets - without) }, (_, layer) => {
    const attention = w.at(`attentions.${layer}`);
    if (!attention.has('norm.weight')) return null;
    return countOf((index) => attention.has(`transformer_blocks.${index}.norm1.weight`));
  });
  return { channels: w.shape('resnets.0.conv1.weight')[0]!, heads, depths };
}

/** One with blocks in it, else one without; all of a network are alike. */
function firstTransformer(w: Weights, blocks: readonly UnetBlock[]): { w: Weights; block?: string } | undefined {
  const transformers = blocks.flatMap(({ depths }, index) => {
    const block = index === blocks.length - 1 ? 'mid_block' : `down_blocks.${index}`;
    return depths.map((depth, layer) => ({ depth, w: w.at(`${block}.attentions.${layer}`) }));
  });
  const full = transformers.find(({ depth }) => depth !== null && depth > 0);
  if (full) return { w: full.w, block: 'transformer_blocks.0' };
  return transformers.find(({ depth }) => depth === 0);
}

function addedConditions(options: Options, w: Weights): { added?: AddedConditions } {
  if ((options.addition_embed_type ?? null) === null) return {};
  const timeWidth = asCount(options.addition_time_embed_dim, 'addition_time_embed_dim');
  // Height, width, top, left, target height, target width. The refiner's five are not supported.
  const timeIds = 6;
  const pooledWidth = w.shape('add_embedding.linear_1.weight')[1]! - timeIds * timeWidth;
  if (pooledWidth < 1) {
    throw new WeightError(
      `The tensor "add_embedding.linear_1.weight" has no room for ${timeIds} numbers of ${timeWidth} values each. ` +
        'Check that the weights belong to the config.json beside them.',
    );
  }
  return { added: { pooledWidth, timeIds, timeWidth } };
}
