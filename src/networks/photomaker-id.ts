/**
 * PhotoMaker's identity encoder (arXiv 2312.04461): photographs go through CLIP's vision encoder, and each one is mixed
 * into one of the copies of the class word in the prompt. After TencentARC/PhotoMaker at 6ec44fc `photomaker/model.py`
 * (`PhotoMakerIDEncoder`, `FuseModule`).
 *
 * Not here: several prompts in one run, which the reference cannot do either.
 */
import { createGraph, type Graph, type Value } from '../onnx/graph.ts';
import { layerNorm, linear } from '../onnx/layers.ts';
import type { Network, OnnxModel } from '../onnx/model.ts';
import { add, cast, concat, cumulativeSum, gather, gelu, reshape, slice, where } from '../onnx/ops.ts';
import { writeModel } from '../onnx/write.ts';
import { type NetworkWeights, openWeights, type Weights } from '../weights/scope.ts';
import { type ClipVisionConfig, clipVisionConfig } from './clip-config.ts';
import { clipVisionPool, clipVisionStates, isPositionIds, pixelDims } from './clip-vision.ts';
import { asOptions } from './config-options.ts';

export interface PhotomakerIdConfig {
  vision: ClipVisionConfig;
  /** Widths of the two projections, which are those of the two text encoders. */
  projectionWidths: readonly [number, number];
}

export interface PhotomakerIdShape {
  photos: number;
  /** Tokens of the prompt. */
  textLength: number;
}

export interface PhotomakerId {
  config: PhotomakerIdConfig;
  weights: NetworkWeights;
}

/** The vision encoder as the reference makes it; the published file comes without a configuration. */
const published = { num_attention_heads: 16 };

/**
 * `id_pixel_values` (float32 [1, photos, 3, S, S]), `prompt_embeds` (float32 [1, T, width]) and `class_tokens_mask`
 * (int64 [1, T], 1 at the copies of the class word, not more of them than photos) → `prompt_embeds` (float32
 * [1, T, width]), changed where the mask is 1.
 *
 * @param file PhotoMaker's `photomaker-v1.bin`
 */
export function photomakerIdNetwork(file: string, shape: PhotomakerIdShape): Network {
  return {
    key: `photomaker-id, ${shape.photos} photos, ${shape.textLength} tokens, of ${file}`,
    build: async () => {
      const weights = await openWeights([file]);
      return photomakerIdModel({ config: photomakerIdConfig({}, weights), weights }, shape);
    },
  };
}

/** @param json what differs from the published vision encoder */
export function photomakerIdConfig(json: unknown, weights: Weights): PhotomakerIdConfig {
  const w = identityEncoder(weights);
  return {
    vision: clipVisionConfig({ ...published, ...asOptions(json) }, w, 'vision_model'),
    projectionWidths: [w.shape('visual_projection.weight')[0]!, w.shape('visual_projection_2.weight')[0]!],
  };
}

export function photomakerIdModel({ config, weights }: PhotomakerId, shape: PhotomakerIdShape): OnnxModel {
  const { photos, textLength } = shape;
  const width = config.projectionWidths[0] + config.projectionWidths[1];
  const g = createGraph('photomaker-id');
  const pixels = g.input('id_pixel_values', 'float32', [1, ...pixelDims(config.vision, photos)]);
  const prompt = g.input('prompt_embeds', 'float32', [1, textLength, width]);
  const mask = g.input('class_tokens_mask', 'int64', [1, textLength]);
  const w = identityEncoder(weights);
  const identities = encodePhotos(g, w, config, reshape(g, pixels, pixels.dims.slice(1)));
  const words = reshape(g, prompt, [textLength, width]);
  const result = fuse(g, w.at('fuse_module'), words, identities, reshape(g, mask, [textLength]));
  g.output('prompt_embeds', reshape(g, result, prompt.dims));
  // The low-rank layers that lie in the same file belong to the UNet.
  weights.finish((name) => name.startsWith('lora_weights.') || isPositionIds(name));
  return writeModel(g);
}

function identityEncoder(weights: Weights): Weights {
  return weights.has('id_encoder.visual_projection.weight') ? weights.at('id_encoder') : weights;
}

/** [photos, 3, S, S] -> [photos, width] */
function encodePhotos(g: Graph, w: Weights, config: PhotomakerIdConfig, pixels: Value): Value {
  const { vision, projectionWidths } = config;
  const model = w.at('vision_model');
  const pooled = clipVisionPool(g, model, vision, clipVisionStates(g, model, vision, pixels, vision.layers));
  const projections = [
    linear(g, w.at('visual_projection'), pooled, projectionWidths[0], { bias: false }),
    linear(g, w.at('visual_projection_2'), pooled, projectionWidths[1], { bias: false }),
  ];
  return concat(g, projections, 1);
}

/**
 * The first masked word takes in the first photo, the second one the second. Every word is mixed and the mask chooses
 * afterwards: shapes stay the same for any prompt, and 77 rows cost next to nothing. A mask of more words than photos
 * fails in `gather`.
 *
 * @param words [T, width]
 * @param identities [photos, width]
 * @param mask int64 [T]
 */
function fuse(g: Graph, w: Weights, words: Value, identities: Value, mask: Value): Value {
  const [length, width] = words.dims as [number, number];
  // A word before the first masked one counts 0: it gets the first photo, and the mask drops the result.
  const table = concat(g, [slice(g, identities, 0, 0, 1), identities], 0);
  const own = gather(g, table, cumulativeSum(g, mask, 0));
  const first = add(g, mlp(g, w.at('mlp1'), concat(g, [words, own], 1), width), words);
  const second = add(g, first, mlp(g, w.at('mlp2'), first, width));
  const mixed = layerNorm(g, w.at('layer_norm'), second, epsilon);
  return where(g, reshape(g, cast(g, mask, 'bool'), [length, 1]), mixed, words);
}

/** [T, in] -> [T, width] */
function mlp(g: Graph, w: Weights, x: Value, width: number): Value {
  const wide = gelu(g, linear(g, w.at('fc1'), layerNorm(g, w.at('layernorm'), x, epsilon), width));
  return linear(g, w.at('fc2'), wide, width);
}

/** torch's own, which the reference does not set. */
const epsilon = 1e-5;
