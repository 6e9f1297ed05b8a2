/**
 * The transformer that CLIP's text and vision encoders share (arXiv 2103.00020), after huggingface/transformers v4.36.2
 * `models/clip/modeling_clip.py` (`CLIPEncoder`, `CLIPEncoderLayer`).
 *
 * Not here: dropout, attention weights as an output.
 */
import { attention } from '../onnx/attention.ts';
import type { Graph, Value } from '../onnx/graph.ts';
import { layerNorm, linear } from '../onnx/layers.ts';
import { add, gelu, quickGelu } from '../onnx/ops.ts';
import type { Weights } from '../weights/scope.ts';
import type { ClipLayersConfig } from './clip-config.ts';

export interface ClipLayersOptions {
  batch: number;
  /** Layers to run, from the first. */
  count: number;
  /** Added to the attention scores: [1, 1, T, T]. */
  mask?: Value;
}

/**
 * The tokens before the first layer and after each.
 *
 * @param w holds `encoder`
 * @param x [B*T, width]
 */
export function clipLayers(
  g: Graph,
  w: Weights,
  config: ClipLayersConfig,
  x: Value,
  options: ClipLayersOptions,
): Value[] {
  const states = [x];
  for (let index = 0; index < options.count; index++) {
    states.push(layer(g, w.at(`encoder.layers.${index}`), config, states.at(-1)!, options));
  }
  return states;
}

function layer(g: Graph, w: Weights, config: ClipLayersConfig, x: Value, options: ClipLayersOptions): Value {
  const { width, mlpWidth, heads, epsilon } = config;
  const { batch, mask } = options;
  const activation = { quick_gelu: quickGelu, gelu }[config.activation];
  const self = w.at('self_attn');
  const normed = layerNorm(g, w.at('layer_norm1'), x, epsilon);
  const mixed = attention(
    g,
    linear(g, self.at('q_proj'), normed, width),
    linear(g, self.at('k_proj'), normed, width),
    linear(g, self.at('v_proj'), normed, width),
    { batch, heads, ...(mask && { bias: mask }) },
  );
  const attended = add(g, linear(g, self.at('out_proj'), mixed, width), x);
  const wide = linear(g, w.at('mlp.fc1'), layerNorm(g, w.at('layer_norm2'), attended, epsilon), mlpWidth);
  return add(g, linear(g, w.at('mlp.fc2'), activation(g, wide), width), attended);
}

/** An output of an encoder: the state before the first layer (0), after each, or counted from the last one (-1). */
export type HiddenState = `hidden_states.${number}`;

/** The state that an output's name asks for, if it does, counted from 0. @throws RangeError when there is none */
export function hiddenStateIndex(output: string, layers: number): number | undefined {
  const [, digits] = /^hidden_states\.(-?\d+)$/.exec(output) ?? [];
  if (digits === undefined) return undefined;
  const index = Number(digits);
  const counted = index < 0 ? layers + 1 + index : index;
  if (counted < 0 || counted > layers) {
    throw new RangeError(`There is no ${output}: the encoder has ${layers} layers, so states 0 to ${layers}.`);
  }
  return counted;
}

/** Whether a tensor belongs to a layer after the first `count`: without a use where only earlier states are asked for. */
export function isOfLaterLayer(name: string, count: number, { layers }: ClipLayersConfig): boolean {
  const [, index] = /(?:^|\.)encoder\.layers\.(\d+)\./.exec(name) ?? [];
  return index !== undefined && Number(index) >= count && Number(index) < layers;
}
