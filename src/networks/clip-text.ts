/**
 * The text encoder of CLIP (arXiv 2103.00020), after huggingface/transformers v4.36.2 `models/clip/modeling_clip.py`
 * (`CLIPTextTransformer`, `CLIPTextModelWithProjection`).
 *
 * Not here: attention masks of the caller.
 */
import { float32, type Tensor } from '../math/tensor.ts';
import { createGraph, type Graph, type Value } from '../onnx/graph.ts';
import { embedding, layerNorm, linear } from '../onnx/layers.ts';
import { declareScales } from '../onnx/low-rank.ts';
import type { Network, OnnxModel } from '../onnx/model.ts';
import { add, argMax, equals, gather, reshape, slice } from '../onnx/ops.ts';
import { writeModel } from '../onnx/write.ts';
import { type LoraFile, loraPath, openLoras, withLoras } from '../weights/lora.ts';
import type { LoraTarget } from '../weights/lora-names.ts';
import { openNetworkFiles } from '../weights/network-files.ts';
import type { NetworkWeights, Weights } from '../weights/scope.ts';
import { type ClipTextConfig, clipTextConfig } from './clip-config.ts';
import { clipLayers, type HiddenState, hiddenStateIndex, isOfLaterLayer } from './clip-layers.ts';

/**
 * States [B, T, width]; the last of the hidden states lacks the final normalisation that `last_hidden_state` has. Pooled
 * [B, width], projected [B, projectionWidth].
 */
export type ClipTextOutput = HiddenState | 'last_hidden_state' | 'pooler_output' | 'text_embeds';

export interface ClipTextShape {
  /** Texts encoded in one run. */
  batch: number;
  /** Tokens of each: at most the positions that the network has. */
  length: number;
}

/** Of files that may hold layers of several networks. */
export interface ClipTextLoras {
  files: readonly LoraFile[];
  /** Which of the text encoders of a Stable Diffusion this one is. */
  target: Exclude<LoraTarget, 'unet'>;
}

export interface ClipText {
  config: ClipTextConfig;
  weights: NetworkWeights;
}

/**
 * `input_ids` (int32 [B, T]), for each LoRA `lora_scale.<i>` (float32 [1]) → the outputs asked for, float32.
 *
 * @param folder holds `config.json` and `model.safetensors`: `<repository>/text_encoder`
 */
export function clipTextNetwork(
  folder: string,
  shape: ClipTextShape,
  outputs: readonly ClipTextOutput[],
  loras?: ClipTextLoras,
): Network {
  const size = `batch ${shape.batch}, ${shape.length} tokens, ${outputs.join(' ')}`;
  const added = (loras?.files ?? []).map((file) => `, lora of ${loraPath(file)}`);
  return {
    key: `clip-text, ${size}, of ${folder}${added.join('')}`,
    async build() {
      const { config, weights } = await openClipText(folder);
      const opened = loras ? await openLoras(loras.files, loras.target) : [];
      return clipTextModel({ config, weights: withLoras(weights, opened) }, shape, outputs);
    },
  };
}

export async function openClipText(folder: string): Promise<ClipText> {
  const { config, weights } = await openNetworkFiles(folder, 'model');
  return { config: clipTextConfig(config, weights), weights };
}

/** Only the outputs asked for are computed. */
export function clipTextModel(
  { config, weights }: ClipText,
  shape: ClipTextShape,
  outputs: readonly ClipTextOutput[],
): OnnxModel {
  const { width, layers, projectionWidth } = config;
  const { batch, length } = shape;
  const g = createGraph('clip-text');
  const ids = g.input('input_ids', 'int32', [batch, length]);
  declareScales(g, weights);
  const w = weights.at('text_model');
  const count = Math.max(...outputs.map((output) => hiddenStateIndex(output, layers) ?? layers));
  const embedded = embeddings(g, w.at('embeddings'), config, ids);
  const states = clipLayers(g, w, config, embedded, { batch, count, mask: causalMask(g, length) });
  const pools = outputs.includes('pooler_output') || outputs.includes('text_embeds');
  const normed = pools || outputs.includes('last_hidden_state');
  const last = normed ? layerNorm(g, w.at('final_layer_norm'), states.at(-1)!, config.epsilon) : undefined;
  const pooled = pools ? gather(g, last!, pooledRows(g, ids, config.pooledToken)) : undefined;
  for (const output of outputs) {
    const index = hiddenStateIndex(output, layers);
    if (index !== undefined) g.output(output, reshape(g, states[index]!, [batch, length, width]));
    else if (output === 'last_hidden_state') g.output(output, reshape(g, last!, [batch, length, width]));
    else if (output === 'pooler_output') g.output(output, pooled!);
    else if (projectionWidth === undefined)
      throw new RangeError('This text encoder has no projection: no text_embeds.');
    else g.output(output, linear(g, weights.at('text_projection'), pooled!, projectionWidth, { bias: false }));
  }
  weights.finish(
    (name) =>
      // Files written by old versions of the reference carry the numbers 0 to 76 along.
      name === 'text_model.embeddings.position_ids' ||
      isOfVisionEncoder(name) ||
      isOfLaterLayer(name, count, config) ||
      (!normed && name.startsWith('text_model.final_layer_norm.')) ||
      (!outputs.includes('text_embeds') && name === 'text_projection.weight'),
  );
  return writeModel(g);
}

/** The files of whole CLIP models hold both encoders. */
function isOfVisionEncoder(name: string): boolean {
  return name.startsWith('vision_model.') || name === 'visual_projection.weight' || name === 'logit_scale';
}

/** int [B, T] -> [B*T, width] */
function embeddings(g: Graph, w: Weights, { vocabulary, positions, width }: ClipTextConfig, ids: Value): Value {
  const [batch, length] = ids.dims as [number, number];
  const tokens = embedding(g, w.at('token_embedding'), ids, vocabulary, width);
  const all = g.weight(w.at('position_embedding').tensor('weight', [positions, width]));
  const position = length === positions ? all : slice(g, all, 0, 0, length);
  return reshape(g, add(g, tokens, position), [batch * length, width]);
}

/** The row of each text's pooled token among the rows of all texts. int [B, T] -> int64 [B] */
function pooledRows(g: Graph, ids: Value, token: ClipTextConfig['pooledToken']): Value {
  const [batch, length] = ids.dims as [number, number];
  const place = argMax(g, token === 'largest' ? ids : equals(g, ids, token), 1);
  const first: Tensor = {
    type: 'int64',
    dims: [batch],
    data: BigInt64Array.from({ length: batch }, (_, row) => BigInt(row * length)),
  };
  return add(g, place, g.constant(first));
}

/** A token sees itself and those before it; the least float32 stands for minus infinity, as in the reference. */
function causalMask(g: Graph, length: number): Value {
  const hidden = -3.4028234663852886e38;
  const mask = float32([1, 1, length, length]);
  for (let row = 0; row < length; row++) mask.data.fill(hidden, row * length + row + 1, (row + 1) * length);
  return g.constant(mask);
}
