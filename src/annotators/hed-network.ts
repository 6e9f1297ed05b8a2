/**
 * Holistically-nested edge detection (arXiv 1504.06375): five blocks of VGG-16, each of which finds edges of its own
 * size. Two trainings of it: the authors' on BSDS500 as huggingface/controlnet_aux v0.0.3 `hed/__init__.py` has it, and
 * ControlNet's own under the Apache licence, `ControlNetHED_Apache2` of the same file at v0.0.6.
 */
import { float32 } from '../math/tensor.ts';
import { createGraph, type Graph, type Value } from '../onnx/graph.ts';
import { conv2d } from '../onnx/layers.ts';
import type { Network, OnnxModel } from '../onnx/model.ts';
import { add, concat, relu, resizeLinear, scale, sigmoid } from '../onnx/ops.ts';
import { maxPool } from '../onnx/pooling.ts';
import { writeModel } from '../onnx/write.ts';
import { type NetworkWeights, openWeights, type Weights } from '../weights/scope.ts';

export interface HedConfig {
  /** Of each block, the largest picture first. */
  blocks: readonly HedBlock[];
}

export interface HedBlock {
  channels: number;
  /** Convolutions. */
  layers: number;
}

export interface Hed {
  config: HedConfig;
  weights: NetworkWeights;
}

/** Of the picture, in multiples of 16. */
export interface HedShape {
  height: number;
  width: number;
}

/** How the files of a training name its layers, and what surrounds the blocks in it. */
export interface HedTraining {
  name: string;
  /** The order of the channels that it takes: blue, green, red, or the other way round. */
  blueFirst: boolean;
  /** Of a convolution. */
  layer(block: number, layer: number): string;
  /** Of what makes edges of a block's result. */
  score(block: number): string;
  prepare(g: Graph, w: Weights, image: Value): Value;
  /** Edges of five sizes [1, 1, H, W] -> before the sigmoid [1, 1, H, W] */
  combine(g: Graph, w: Weights, scores: readonly Value[]): Value;
}

const numerals = ['One', 'Two', 'Thr', 'Fou', 'Fiv'];

export const bsdsTraining: HedTraining = {
  name: 'hed-bsds',
  blueFirst: true,
  // Activations are numbered too, and so is the pooling that stands before all blocks but the first.
  layer: (block, layer) => `moduleVgg${numerals[block]}.${2 * layer + (block > 0 ? 1 : 0)}`,
  score: (block) => `moduleScore${numerals[block]}`,
  prepare(g, _, image) {
    const means = float32([3, 1, 1], Float32Array.of(-104.00698793, -116.66876762, -122.67891434));
    return add(g, image, g.constant(means));
  },
  combine: (g, w, scores) => conv2d(g, w.at('moduleCombine.0'), concat(g, scores, 1), 1, { kernel: 1 }),
};

export const apacheTraining: HedTraining = {
  name: 'hed-apache',
  blueFirst: false,
  layer: (block, layer) => `block${block + 1}.convs.${layer}`,
  score: (block) => `block${block + 1}.projection`,
  prepare: (g, w, image) => add(g, image, scale(g, g.weight(w.tensor('norm', [1, 3, 1, 1])), -1)),
  combine: (g, _, scores) =>
    scale(
      g,
      scores.reduce((sum, score) => add(g, sum, score)),
      1 / scores.length,
    ),
};

/** `image` (float32 [1, 3, H, W], 0 to 255) → `edges` (float32 [1, 1, H, W], 0 to 1). */
export function hedNetwork(path: string, training: HedTraining, shape: HedShape): Network {
  return {
    key: `${training.name}, ${shape.width}×${shape.height}, of ${path}`,
    build: async () => {
      const weights = await openWeights([path]);
      return hedModel({ config: hedConfig(weights, training), weights }, training, shape);
    },
  };
}

export function hedConfig(weights: Weights, { layer }: HedTraining): HedConfig {
  const blocks = numerals.map((_, block) => {
    let layers = 1;
    while (weights.has(`${layer(block, layers)}.weight`)) layers++;
    return { channels: weights.shape(`${layer(block, 0)}.weight`)[0]!, layers };
  });
  return { blocks };
}

export function hedModel({ config, weights }: Hed, training: HedTraining, { height, width }: HedShape): OnnxModel {
  const g = createGraph(training.name);
  let x = training.prepare(g, weights, g.input('image', 'float32', [1, 3, height, width]));
  const scores = config.blocks.map(({ channels, layers }, block) => {
    if (block > 0) x = maxPool(g, x, 2, { stride: 2 });
    for (let layer = 0; layer < layers; layer++) {
      x = relu(g, conv2d(g, weights.at(training.layer(block, layer)), x, channels, { kernel: 3, padding: 1 }));
    }
    const score = conv2d(g, weights.at(training.score(block)), x, 1, { kernel: 1 });
    return block === 0 ? score : resizeLinear(g, score, height, width, false);
  });
  g.output('edges', sigmoid(g, training.combine(g, weights, scores)));
  weights.finish();
  return writeModel(g);
}
