/**
 * The safety checker of Stable Diffusion, after huggingface/diffusers v0.24.0
 * `pipelines/stable_diffusion/safety_checker.py`: a picture is as near to each of 17 concepts as their CLIP embeddings
 * are, and three further ones lower the thresholds of all.
 *
 * Not here: blackening the pictures.
 */
import { roundHalfToEven } from '../math/round.ts';
import type { Tensor } from '../math/tensor.ts';
import { createGraph, type Graph, type Value } from '../onnx/graph.ts';
import { linear } from '../onnx/layers.ts';
import type { Network, OnnxModel } from '../onnx/model.ts';
import { dotProducts, normalize } from '../onnx/ops.ts';
import { writeModel } from '../onnx/write.ts';
import { openNetworkFiles } from '../weights/network-files.ts';
import type { NetworkWeights, Weights } from '../weights/scope.ts';
import { type ClipVisionConfig, clipVisionConfig } from './clip-config.ts';
import { clipVisionPool, clipVisionStates, isPositionIds, pixelDims } from './clip-vision.ts';

export interface SafetyCheckerConfig {
  vision: ClipVisionConfig;
  projectionWidth: number;
  concepts: number;
  specialConcepts: number;
}

export interface SafetyChecker {
  config: SafetyCheckerConfig;
  weights: NetworkWeights;
}

export interface SafetyCheckerShape {
  batch: number;
}

/**
 * `clip_input` (float32 [B, 3, S, S]) → the cosines and thresholds that `judgeSafety` takes.
 *
 * @param folder holds `config.json` and `model.safetensors`: `<repository>/safety_checker`
 */
export function safetyCheckerNetwork(folder: string, shape: SafetyCheckerShape): Network {
  return {
    key: `safety-checker, batch ${shape.batch}, of ${folder}`,
    build: async () => {
      const { config, weights } = await openNetworkFiles(folder, 'model');
      return safetyCheckerModel({ config: safetyCheckerConfig(config, weights), weights }, shape);
    },
  };
}

export function safetyCheckerConfig(json: unknown, w: Weights): SafetyCheckerConfig {
  const [concepts, projectionWidth] = w.shape('concept_embeds') as [number, number];
  const [specialConcepts] = w.shape('special_care_embeds') as [number];
  return { vision: clipVisionConfig(json, w, tower), projectionWidth, concepts, specialConcepts };
}

const tower = 'vision_model.vision_model';

export function safetyCheckerModel({ config, weights }: SafetyChecker, { batch }: SafetyCheckerShape): OnnxModel {
  const { vision, projectionWidth, concepts, specialConcepts } = config;
  const g = createGraph('safety-checker');
  const pixels = g.input('clip_input', 'float32', pixelDims(vision, batch));
  const model = weights.at(tower);
  const pooled = clipVisionPool(g, model, vision, clipVisionStates(g, model, vision, pixels, vision.layers));
  const picture = linear(g, weights.at('visual_projection'), pooled, projectionWidth, { bias: false });
  const outputs = (name: string, count: number, cosines: keyof Cosines, thresholds: keyof Cosines): void => {
    g.output(cosines, cosine(g, picture, g.weight(weights.tensor(name, [count, projectionWidth]))));
    g.output(thresholds, g.weight(weights.tensor(`${name}_weights`, [count])));
  };
  outputs('special_care_embeds', specialConcepts, 'special_cosines', 'special_thresholds');
  outputs('concept_embeds', concepts, 'cosines', 'thresholds');
  weights.finish(isPositionIds);
  return writeModel(g);
}

/** [B, width], [count, width] -> [B, count] */
function cosine(g: Graph, pictures: Value, concepts: Value): Value {
  return dotProducts(g, normalize(g, pictures), normalize(g, concepts));
}

/** What the network returns: [B, count] and [count] of each kind. */
export interface Cosines {
  cosines: Tensor<'float32'>;
  thresholds: Tensor<'float32'>;
  special_cosines: Tensor<'float32'>;
  special_thresholds: Tensor<'float32'>;
}

export interface SafetyVerdict {
  nsfw: boolean;
  /** How far each concept is above its threshold, rounded to three places. */
  scores: number[];
}

/** For each picture, as the reference decides: in double precision, from the cosines rounded to float32. */
export function judgeSafety(found: Cosines): SafetyVerdict[] {
  const batch = found.cosines.dims[0]!;
  return Array.from({ length: batch }, (_, picture) => {
    let adjustment = 0;
    const score = (cosines: Tensor<'float32'>, thresholds: Tensor<'float32'>, index: number): number => {
      const above = cosines.data[picture * thresholds.data.length + index]! - thresholds.data[index]! + adjustment;
      return roundHalfToEven(above * 1000) / 1000;
    };
    for (let index = 0; index < found.special_thresholds.data.length; index++) {
      if (score(found.special_cosines, found.special_thresholds, index) > 0) adjustment = 0.01;
    }
    const scores = Array.from(found.thresholds.data, (_, index) => score(found.cosines, found.thresholds, index));
    return { nsfw: scores.some((value) => value > 0), scores };
  });
}
