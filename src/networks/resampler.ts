/**
 * InstantID's projection of a face embedding to the tokens that its attention sees (arXiv 2401.07519), after
 * zsxkib/InstantID at b8dc74a `ip_adapter/resampler.py` (`Resampler`, `PerceiverAttention`), which is the Perceiver
 * resampler of arXiv 2204.14198.
 */
import { WeightError } from '../base/errors.ts';
import { attention } from '../onnx/attention.ts';
import { createGraph, type Graph, type Value } from '../onnx/graph.ts';
import { layerNorm, linear } from '../onnx/layers.ts';
import type { Network, OnnxModel } from '../onnx/model.ts';
import { add, concat, gelu, reshape, slice } from '../onnx/ops.ts';
import { writeModel } from '../onnx/write.ts';
import { type NetworkWeights, openWeights, type Weights } from '../weights/scope.ts';
import { asCount, asOptions, countOf } from './config-options.ts';

export interface ResamplerConfig {
  /** Of the embedding. */
  inWidth: number;
  width: number;
  /** Of all heads together. */
  attentionWidth: number;
  heads: number;
  mlpWidth: number;
  layers: number;
  /** Learned tokens, which become the result. */
  queries: number;
  /** Of the tokens. */
  outWidth: number;
}

export interface ResamplerShape {
  batch: number;
  /** Embeddings in each row of the batch: 1, a face. */
  length: number;
}

export interface Resampler {
  config: ResamplerConfig;
  weights: NetworkWeights;
}

/**
 * `embeds` (float32 [B, T, inWidth]) → `tokens` (float32 [B, queries, outWidth]).
 *
 * @param file InstantID's `ip-adapter.bin`, or its `image_proj` alone
 */
export function resamplerNetwork(file: string, shape: ResamplerShape): Network {
  return {
    key: `resampler, batch ${shape.batch}, ${shape.length} embeddings, of ${file}`,
    build: async () => {
      const weights = await openWeights([file]);
      return resamplerModel({ config: resamplerConfig({}, weights), weights }, shape);
    },
  };
}

/**
 * @param json the arguments that the reference was made with, of which `dim_head` or `heads` alone is not in the weights;
 * the published file comes with none
 */
export function resamplerConfig(json: unknown, weights: Weights): ResamplerConfig {
  const options = asOptions(json);
  const w = projection(weights);
  const [, queries, width] = w.shape('latents') as [number, number, number];
  const attentionWidth = w.shape('layers.0.0.to_q.weight')[0]!;
  const headWidth = asCount(options.dim_head ?? 64, 'dim_head');
  const heads = options.heads === undefined ? attentionWidth / headWidth : asCount(options.heads, 'heads');
  if (!Number.isInteger(heads) || attentionWidth % heads !== 0) {
    throw new WeightError(`A resampler of width ${attentionWidth} cannot be cut into heads of one width (dim_head).`);
  }
  return {
    inWidth: w.shape('proj_in.weight')[1]!,
    width,
    attentionWidth,
    heads,
    mlpWidth: w.shape('layers.0.1.1.weight')[0]!,
    layers: countOf((index) => w.has(`layers.${index}.0.to_q.weight`)),
    queries,
    outWidth: w.shape('proj_out.weight')[0]!,
  };
}

export function resamplerModel({ config, weights }: Resampler, { batch, length }: ResamplerShape): OnnxModel {
  const g = createGraph('resampler');
  const embeds = g.input('embeds', 'float32', [batch, length, config.inWidth]);
  g.output('tokens', resampler(g, projection(weights), config, embeds));
  // The attention layers that lie in the same file belong to the UNet.
  weights.finish((name) => name.startsWith('ip_adapter.'));
  return writeModel(g);
}

function projection(weights: Weights): Weights {
  return weights.has('image_proj.latents') ? weights.at('image_proj') : weights;
}

/** [B, T, inWidth] -> [B, queries, outWidth] */
function resampler(g: Graph, w: Weights, config: ResamplerConfig, embeds: Value): Value {
  const { inWidth, width, mlpWidth, layers, queries, outWidth } = config;
  const [batch, length] = embeds.dims as [number, number];
  const learned = g.weight(w.tensor('latents', [1, queries, width]));
  let latents = reshape(g, concat(g, new Array<Value>(batch).fill(learned), 0), [batch * queries, width]);
  const x = linear(g, w.at('proj_in'), reshape(g, embeds, [batch * length, inWidth]), width);
  for (let index = 0; index < layers; index++) {
    const layer = w.at(`layers.${index}`);
    latents = add(g, attend(g, layer.at('0'), config, x, latents, batch), latents);
    const normed = layerNorm(g, layer.at('1.0'), latents, epsilon);
    const wide = gelu(g, linear(g, layer.at('1.1'), normed, mlpWidth, { bias: false }));
    latents = add(g, linear(g, layer.at('1.3'), wide, width, { bias: false }), latents);
  }
  const tokens = layerNorm(g, w.at('norm_out'), linear(g, w.at('proj_out'), latents, outWidth), epsilon);
  return reshape(g, tokens, [batch, queries, outWidth]);
}

/** torch's own, which the reference does not set. */
const epsilon = 1e-5;

/** The latents look at the embeddings and at themselves. [B*T, width], [B*queries, width] -> [B*queries, width] */
function attend(g: Graph, w: Weights, config: ResamplerConfig, x: Value, latents: Value, batch: number): Value {
  const { width, attentionWidth, heads } = config;
  const perBatch = (rows: Value): Value => reshape(g, rows, [batch, rows.dims[0]! / batch, width]);
  const query = layerNorm(g, w.at('norm2'), latents, epsilon);
  const seen = concat(g, [perBatch(layerNorm(g, w.at('norm1'), x, epsilon)), perBatch(query)], 1);
  const rows = reshape(g, seen, [seen.dims[0]! * seen.dims[1]!, width]);
  const pair = linear(g, w.at('to_kv'), rows, 2 * attentionWidth, { bias: false });
  const mixed = attention(
    g,
    linear(g, w.at('to_q'), query, attentionWidth, { bias: false }),
    slice(g, pair, 1, 0, attentionWidth),
    slice(g, pair, 1, attentionWidth, 2 * attentionWidth),
    { batch, heads },
  );
  return linear(g, w.at('to_out'), mixed, width, { bias: false });
}
