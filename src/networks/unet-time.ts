/**
 * What a UNet is told beside picture and text, after huggingface/diffusers v0.24.0 `models/embeddings.py`
 * (`Timesteps`, `TimestepEmbedding`) and `models/unet_2d_condition.py`.
 *
 * Not here: class embeddings, guidance embeddings (`time_cond_proj_dim`), Fourier features.
 */
import { float32, type Tensor } from '../math/tensor.ts';
import type { Graph, Value } from '../onnx/graph.ts';
import { linear } from '../onnx/layers.ts';
import { add, concat, cosine, multiply, reshape, silu, sine } from '../onnx/ops.ts';
import type { Weights } from '../weights/scope.ts';
import type { AddedConditions, UnetEncoderConfig } from './unet-config.ts';

/** The added conditions of SDXL. */
export interface AddedInputs {
  /** Pooled text. [B, pooledWidth] */
  textEmbeds: Value;
  /** Sizes and offset of the picture. [B, 6] */
  timeIds: Value;
}

/** Declares `text_embeds` and `time_ids` where the network has them. */
export function addedInputs(g: Graph, { added }: UnetEncoderConfig, batch: number): AddedInputs | undefined {
  if (!added) return undefined;
  return {
    textEmbeds: g.input('text_embeds', 'float32', [batch, added.pooledWidth]),
    timeIds: g.input('time_ids', 'float32', [batch, added.timeIds]),
  };
}

/**
 * With the activation that every resnet begins with.
 *
 * @param timestep [1 or B]
 * @returns [1 or B, 4*C]
 */
export function timeEmbedding(
  g: Graph,
  w: Weights,
  config: UnetEncoderConfig,
  timestep: Value,
  inputs: AddedInputs | undefined,
): Value {
  const channels = config.down[0]!.channels;
  const time = embed(g, w.at('time_embedding'), waves(g, timestep, channels), 4 * channels);
  if (!config.added) return silu(g, time);
  if (!inputs) throw new RangeError('This network needs text_embeds and time_ids, which the UNet has no inputs for.');
  const added = addedWaves(g, config.added, inputs);
  return silu(g, add(g, time, embed(g, w.at('add_embedding'), added, 4 * channels)));
}

function embed(g: Graph, w: Weights, x: Value, features: number): Value {
  return linear(g, w.at('linear_2'), silu(g, linear(g, w.at('linear_1'), x, features)), features);
}

/** [B, pooledWidth], [B, 6] -> [B, pooledWidth + 6*timeWidth] */
function addedWaves(g: Graph, { timeWidth }: AddedConditions, { textEmbeds, timeIds }: AddedInputs): Value {
  const [batch, count] = timeIds.dims as [number, number];
  const ids = waves(g, reshape(g, timeIds, [batch * count]), timeWidth);
  return concat(g, [textEmbeds, reshape(g, ids, [batch, count * timeWidth])], 1);
}

/** [N] -> [N, width] */
function waves(g: Graph, x: Value, width: number): Value {
  const angles = multiply(g, reshape(g, x, [x.dims[0]!, 1]), g.constant(frequencies(width / 2))); // [N, width/2]
  return concat(g, [cosine(g, angles), sine(g, angles)], 1);
}

/**
 * exp(-ln(10000) i / count), rounded to float32 after each operation as the reference computes it. At 320 channels 144
 * of 160 values are torch's own and the rest one unit in the last place away, which is its exp's doing.
 */
function frequencies(count: number): Tensor {
  const factor = Math.fround(-Math.log(10000));
  const values = Array.from({ length: count }, (_, index) =>
    Math.exp(Math.fround(Math.fround(factor * index) / count)),
  );
  return float32([1, count], Float32Array.from(values));
}
