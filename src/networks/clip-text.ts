/**
 * The text encoder of CLIP (arXiv 2103.00020), after huggingface/transformers v4.29.1
 * `models/clip/modeling_clip.py` (`CLIPTextTransformer`).
 *
 * Not here: the pooled and projected output, attention masks of the caller, the other layers' hidden states.
 */
import { float32 } from '../math/tensor.ts';
import { createGraph, type Graph, type Value } from '../onnx/graph.ts';
import { embedding, layerNorm, linear } from '../onnx/layers.ts';
import type { Network, OnnxModel } from '../onnx/model.ts';
import { add, attention, gelu, quickGelu, reshape } from '../onnx/ops.ts';
import { writeModel } from '../onnx/write.ts';
import { openNetworkFiles } from '../weights/network-files.ts';
import type { NetworkWeights, Weights } from '../weights/scope.ts';
import { type ClipTextConfig, clipTextConfig } from './config.ts';

export interface ClipTextShape {
  /** Prompts encoded in one run. */
  batch: number;
}

export interface ClipText {
  config: ClipTextConfig;
  weights: NetworkWeights;
}

/**
 * `input_ids` (int32 [B, 77]) → `last_hidden_state` (float32 [B, 77, width]).
 *
 * @param folder holds `config.json` and `model.safetensors`: `<repository>/text_encoder`
 */
export function clipTextNetwork(folder: string, shape: ClipTextShape): Network {
  return {
    key: `clip-text, batch ${shape.batch}, of ${folder}`,
    build: async () => clipTextModel(await openClipText(folder), shape),
  };
}

export async function openClipText(folder: string): Promise<ClipText> {
  const { config, weights } = await openNetworkFiles(folder, 'model');
  return { config: clipTextConfig(config, weights), weights };
}

export function clipTextModel({ config, weights }: ClipText, { batch }: ClipTextShape): OnnxModel {
  const g = createGraph('clip-text');
  const ids = g.input('input_ids', 'int32', [batch, config.positions]);
  g.output('last_hidden_state', clipText(g, weights.at('text_model'), config, ids));
  // Files written by old versions of the reference carry the numbers 0 to 76 along.
  weights.finish((name) => name === 'text_model.embeddings.position_ids');
  return writeModel(g);
}

/** [B, T] -> [B, T, width] */
function clipText(g: Graph, w: Weights, config: ClipTextConfig, ids: Value): Value {
  const { vocabulary, positions, width, layers, epsilon } = config;
  const batch = ids.dims[0]!;
  const tokens = embedding(g, w.at('embeddings.token_embedding'), ids, vocabulary, width);
  const position = g.weight(w.at('embeddings.position_embedding').tensor('weight', [positions, width]));
  const mask = causalMask(g, positions);
  let x = reshape(g, add(g, tokens, position), [batch * positions, width]); // [B, T, width] -> [B*T, width]
  for (let index = 0; index < layers; index++) x = layer(g, w.at(`encoder.layers.${index}`), config, x, mask);
  return reshape(g, layerNorm(g, w.at('final_layer_norm'), x, epsilon), [batch, positions, width]);
}

function layer(g: Graph, w: Weights, config: ClipTextConfig, x: Value, mask: Value): Value {
  const { width, mlpWidth, heads, epsilon, positions } = config;
  const activation = { quick_gelu: quickGelu, gelu }[config.activation];
  const self = w.at('self_attn');
  const normed = layerNorm(g, w.at('layer_norm1'), x, epsilon);
  const mixed = attention(
    g,
    linear(g, self.at('q_proj'), normed, width),
    linear(g, self.at('k_proj'), normed, width),
    linear(g, self.at('v_proj'), normed, width),
    { batch: x.dims[0]! / positions, heads, bias: mask },
  );
  const attended = add(g, linear(g, self.at('out_proj'), mixed, width), x);
  const wide = linear(g, w.at('mlp.fc1'), layerNorm(g, w.at('layer_norm2'), attended, epsilon), mlpWidth);
  return add(g, linear(g, w.at('mlp.fc2'), activation(g, wide), width), attended);
}

/** A token sees itself and those before it; the least float32 stands for minus infinity, as in the reference. */
function causalMask(g: Graph, length: number): Value {
  const hidden = -3.4028234663852886e38;
  const mask = float32([1, 1, length, length]);
  for (let row = 0; row < length; row++) mask.data.fill(hidden, row * length + row + 1, (row + 1) * length);
  return g.constant(mask);
}
