/**
 * What a CLIP encoder looks like. Sizes are read off the weights; the rest comes from `config.json`, whose absent keys
 * mean the defaults of the reference (huggingface/transformers v4.36.2 `CLIPTextConfig`, `CLIPVisionConfig`).
 */
import { WeightError } from '../base/errors.ts';
import type { Weights } from '../weights/scope.ts';
import { asCount, asOptions, asPositive, countOf, type Options, unsupported } from './config-options.ts';

/** The layers that both encoders consist of. */
export interface ClipLayersConfig {
  width: number;
  mlpWidth: number;
  layers: number;
  heads: number;
  activation: 'quick_gelu' | 'gelu';
  epsilon: number;
}

export interface ClipTextConfig extends ClipLayersConfig {
  vocabulary: number;
  positions: number;
  /** Where the pooled state is taken from: the first place of this token, or of the largest one of the text. */
  pooledToken: number | 'largest';
  /** Width of the projected pooled state, where there is a projection. */
  projectionWidth?: number;
}

export interface ClipVisionConfig extends ClipLayersConfig {
  channels: number;
  /** Patches on each side of the picture. */
  grid: number;
  /** Pixels on each side of a patch. */
  patch: number;
  /** Width of the projected picture token, where there is a projection. */
  projectionWidth?: number;
}

/**
 * @param json of the encoder, or of a network that holds it as `text_config`
 * @param w holds `text_model`, and `text_projection` or not
 */
export function clipTextConfig(json: unknown, w: Weights): ClipTextConfig {
  const options = ownOptions(json, 'text_config');
  const model = w.at('text_model');
  const [vocabulary, width] = model.shape('embeddings.token_embedding.weight') as [number, number];
  return {
    ...layersConfig(options, model, width, 8),
    vocabulary,
    positions: model.shape('embeddings.position_embedding.weight')[0]!,
    pooledToken: pooledToken(options.eos_token_id),
    ...(w.has('text_projection.weight') && { projectionWidth: w.shape('text_projection.weight')[0]! }),
  };
}

/**
 * @param json of the encoder, or of a network that holds it as `vision_config`
 * @param w holds the encoder under the name `tower`, and `visual_projection` or not
 */
export function clipVisionConfig(json: unknown, w: Weights, tower: string): ClipVisionConfig {
  const options = ownOptions(json, 'vision_config');
  const model = w.at(tower);
  const [width, channels, patch] = model.shape('embeddings.patch_embedding.weight') as [number, number, number];
  const [positions] = model.shape('embeddings.position_embedding.weight') as [number];
  const grid = Math.sqrt(positions - 1);
  if (!Number.isSafeInteger(grid) || grid < 1) {
    throw new WeightError(`A vision encoder has ${positions} positions, which are not a square of patches and one.`);
  }
  return {
    ...layersConfig(options, model, width, 12),
    channels,
    grid,
    patch,
    ...(w.has('visual_projection.weight') && { projectionWidth: w.shape('visual_projection.weight')[0]! }),
  };
}

function ownOptions(json: unknown, part: string): Options {
  const options = asOptions(json);
  return options[part] === undefined ? options : asOptions(options[part]);
}

function layersConfig(options: Options, model: Weights, width: number, defaultHeads: number): ClipLayersConfig {
  const activation = options.hidden_act ?? 'quick_gelu';
  if (activation !== 'quick_gelu' && activation !== 'gelu') throw unsupported('hidden_act', activation);
  return {
    width,
    mlpWidth: model.shape('encoder.layers.0.mlp.fc1.weight')[0]!,
    layers: countOf((index) => model.has(`encoder.layers.${index}.layer_norm1.weight`)),
    heads: asCount(options.num_attention_heads ?? defaultHeads, 'num_attention_heads'),
    activation,
    epsilon: asPositive(options.layer_norm_eps ?? 1e-5, 'layer_norm_eps'),
  };
}

/** 2 is a slip of the first published files; the reference knows it and looks for the largest token, as before 4.31. */
function pooledToken(endToken: unknown): ClipTextConfig['pooledToken'] {
  if (endToken === 2) return 'largest';
  if (endToken === 0) return 0;
  return asCount(endToken ?? 49407, 'eos_token_id');
}
