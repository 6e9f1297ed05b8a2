/**
 * The vision encoder of CLIP (arXiv 2103.00020), after huggingface/transformers v4.36.2 `models/clip/modeling_clip.py`
 * (`CLIPVisionTransformer`, `CLIPVisionModelWithProjection`).
 *
 * Not here: pictures of another size than the network's own.
 */
import { createGraph, type Graph, type Value } from '../onnx/graph.ts';
import { conv2d, layerNorm, linear } from '../onnx/layers.ts';
import type { Network, OnnxModel } from '../onnx/model.ts';
import { add, concat, reshape, slice, toTokens } from '../onnx/ops.ts';
import { writeModel } from '../onnx/write.ts';
import { openNetworkFiles } from '../weights/network-files.ts';
import type { NetworkWeights, Weights } from '../weights/scope.ts';
import { type ClipVisionConfig, clipVisionConfig } from './clip-config.ts';
import { clipLayers, type HiddenState, hiddenStateIndex, isOfLaterLayer } from './clip-layers.ts';

/**
 * States [B, 1 + patches, width], none of them normalised after the last layer; pooled [B, width], projected
 * [B, projection].
 */
export type ClipVisionOutput = HiddenState | 'last_hidden_state' | 'pooler_output' | 'image_embeds';

export interface ClipVisionShape {
  batch: number;
}

export interface ClipVision {
  config: ClipVisionConfig;
  weights: NetworkWeights;
}

/**
 * `pixel_values` (float32 [B, 3, S, S]) → the outputs asked for, float32.
 *
 * @param folder holds `config.json` and `model.safetensors`: `<repository>/image_encoder`
 */
export function clipVisionNetwork(
  folder: string,
  shape: ClipVisionShape,
  outputs: readonly ClipVisionOutput[],
): Network {
  return {
    key: `clip-vision, batch ${shape.batch}, ${outputs.join(' ')}, of ${folder}`,
    build: async () => clipVisionModel(await openClipVision(folder), shape, outputs),
  };
}

export async function openClipVision(folder: string): Promise<ClipVision> {
  const { config, weights } = await openNetworkFiles(folder, 'model');
  return { config: clipVisionConfig(config, weights, 'vision_model'), weights };
}

/** Only the outputs asked for are computed. */
export function clipVisionModel(
  { config, weights }: ClipVision,
  { batch }: ClipVisionShape,
  outputs: readonly ClipVisionOutput[],
): OnnxModel {
  const g = createGraph('clip-vision');
  const pixels = g.input('pixel_values', 'float32', pixelDims(config, batch));
  const { layers, width, projectionWidth } = config;
  const count = Math.max(...outputs.map((output) => hiddenStateIndex(output, layers) ?? layers));
  const model = weights.at('vision_model');
  const states = clipVisionStates(g, model, config, pixels, count);
  const projected = outputs.includes('image_embeds');
  const pooled = projected || outputs.includes('pooler_output') ? clipVisionPool(g, model, config, states) : undefined;
  for (const output of outputs) {
    const index = hiddenStateIndex(output, layers) ?? (output === 'last_hidden_state' ? layers : undefined);
    if (index !== undefined) g.output(output, reshape(g, states[index]!, [batch, config.grid ** 2 + 1, width]));
    else if (output === 'pooler_output') g.output(output, pooled!);
    else if (projectionWidth === undefined)
      throw new RangeError('This vision encoder has no projection: no image_embeds.');
    else g.output(output, linear(g, weights.at('visual_projection'), pooled!, projectionWidth, { bias: false }));
  }
  weights.finish(
    (name) =>
      isPositionIds(name) ||
      isOfTextEncoder(name) ||
      isOfLaterLayer(name, count, config) ||
      (!pooled && name.startsWith('vision_model.post_layernorm.')) ||
      (!projected && name === 'visual_projection.weight'),
  );
  return writeModel(g);
}

/** The files of whole CLIP models hold both encoders. */
function isOfTextEncoder(name: string): boolean {
  return name.startsWith('text_model.') || name === 'text_projection.weight' || name === 'logit_scale';
}

/** The shape of the pictures that the tower takes. */
export function pixelDims({ channels, grid, patch }: ClipVisionConfig, batch: number): number[] {
  return [batch, channels, grid * patch, grid * patch];
}

/** Files written by old versions of the reference carry the numbers 0 to 256 along. */
export function isPositionIds(name: string): boolean {
  return /(?:^|\.)vision_model\.embeddings\.position_ids$/.test(name);
}

/**
 * The tokens before the first of `count` layers and after each, [B*T, width]; the picture's own token is the first of T.
 *
 * @param w the tower: what the checkpoints call `vision_model`
 * @param pixels [B, 3, S, S]
 */
export function clipVisionStates(
  g: Graph,
  w: Weights,
  config: ClipVisionConfig,
  pixels: Value,
  count: number,
): Value[] {
  const { width, grid, patch, epsilon } = config;
  const batch = pixels.dims[0]!;
  const length = grid ** 2 + 1;
  const own = w.at('embeddings');
  const patches = conv2d(g, own.at('patch_embedding'), pixels, width, { kernel: patch, stride: patch, bias: false });
  const rows = reshape(g, toTokens(g, patches), [batch, grid ** 2, width]);
  const classToken = g.weight(own.tensor('class_embedding', [width]), [1, 1, width]);
  const classRows = concat(g, new Array<Value>(batch).fill(classToken), 0); // [B, 1, width]
  const position = g.weight(own.at('position_embedding').tensor('weight', [length, width]));
  const embedded = reshape(g, add(g, concat(g, [classRows, rows], 1), position), [batch * length, width]);
  // Spelled so in the reference and in every file.
  const x = layerNorm(g, w.at('pre_layrnorm'), embedded, epsilon);
  return clipLayers(g, w, config, x, { batch, count });
}

/** The picture's own token after the last layer, normalised. [B*T, width] -> [B, width] */
export function clipVisionPool(g: Graph, w: Weights, config: ClipVisionConfig, states: readonly Value[]): Value {
  const { width, grid, epsilon } = config;
  const last = states.at(-1)!;
  const length = grid ** 2 + 1;
  const batch = last.dims[0]! / length;
  const first = slice(g, reshape(g, last, [batch, length, width]), 1, 0, 1);
  return layerNorm(g, w.at('post_layernorm'), reshape(g, first, [batch, width]), epsilon);
}
