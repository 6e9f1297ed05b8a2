/** `config.json` of small networks, with what cannot be read off their weights, in the words of the reference. */
import type { ClipTextConfig } from '../networks/clip-config.ts';
import type { ControlnetConfig, UnetBlock, UnetConfig, UnetEncoderConfig } from '../networks/unet-config.ts';
import type { VaeDecoderConfig } from '../networks/vae-config.ts';

type Json = Record<string, unknown>;

export function clipTextJson(config: ClipTextConfig): Json {
  return {
    architectures: [config.projectionWidth === undefined ? 'CLIPTextModel' : 'CLIPTextModelWithProjection'],
    hidden_act: config.activation,
    hidden_size: config.width,
    intermediate_size: config.mlpWidth,
    layer_norm_eps: config.epsilon,
    max_position_embeddings: config.positions,
    model_type: 'clip_text_model',
    num_attention_heads: config.heads,
    num_hidden_layers: config.layers,
    vocab_size: config.vocabulary,
    // The published slip that stands for the largest token; otherwise the default.
    ...(config.pooledToken === 'largest' && { eos_token_id: 2 }),
    ...(config.projectionWidth !== undefined && { projection_dim: config.projectionWidth }),
  };
}

export function unetJson(config: UnetConfig): Json {
  return {
    _class_name: 'UNet2DConditionModel',
    ...encoderJson(config),
    out_channels: config.outChannels,
    up_block_types: config.up.map((block) => (hasAttention(block) ? 'CrossAttnUpBlock2D' : 'UpBlock2D')),
  };
}

export function controlnetJson(config: ControlnetConfig): Json {
  return {
    _class_name: 'ControlNetModel',
    ...encoderJson(config),
    conditioning_embedding_out_channels: config.conditionChannels,
    controlnet_conditioning_channel_order: config.conditionOrder,
  };
}

function encoderJson(config: UnetEncoderConfig): Json {
  const { added, down, linearProjection } = config;
  return {
    attention_head_dim: down.map(({ heads }) => heads),
    block_out_channels: down.map(({ channels }) => channels),
    cross_attention_dim: config.contextWidth,
    down_block_types: down.map((block) => (hasAttention(block) ? 'CrossAttnDownBlock2D' : 'DownBlock2D')),
    in_channels: config.inChannels,
    layers_per_block: down[0]!.depths.length,
    norm_eps: config.norm.epsilon,
    norm_num_groups: config.norm.groups,
    ...(linearProjection && { use_linear_projection: true }),
    ...(added && {
      addition_embed_type: 'text_time',
      addition_time_embed_dim: added.timeWidth,
      projection_class_embeddings_input_dim: added.pooledWidth + added.timeIds * added.timeWidth,
    }),
  };
}

function hasAttention({ depths }: UnetBlock): boolean {
  return Boolean(depths[0]);
}

/** Of both halves; they mirror each other. */
export function vaeJson(config: VaeDecoderConfig, scalingFactor: number): Json {
  return {
    _class_name: 'AutoencoderKL',
    block_out_channels: config.levels.toReversed(),
    down_block_types: config.levels.map(() => 'DownEncoderBlock2D'),
    latent_channels: config.latentChannels,
    layers_per_block: config.layers - 1,
    norm_num_groups: config.norm.groups,
    out_channels: 3,
    scaling_factor: scalingFactor,
    up_block_types: config.levels.map(() => 'UpDecoderBlock2D'),
  };
}
