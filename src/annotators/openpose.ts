/**
 * The body network of OpenPose (Cao et al., arXiv 1812.08008), as huggingface/controlnet_aux v0.0.3
 * `open_pose/model.py` has it: a trunk of VGG-19, and two branches that refine their maps stage by stage.
 *
 * Not here: hands and face.
 */
import { createGraph, type Graph, type Value } from '../onnx/graph.ts';
import { conv2d } from '../onnx/layers.ts';
import type { Network, OnnxModel } from '../onnx/model.ts';
import { concat, relu } from '../onnx/ops.ts';
import { maxPool } from '../onnx/pooling.ts';
import { writeModel } from '../onnx/write.ts';
import { type NetworkWeights, openWeights, type Weights } from '../weights/scope.ts';

/** Of each of the 19 limbs, where it points: across and down. */
export const affinityChannels = 38;
/** One for each of the 18 parts, and one for what is no part. */
export const heatChannels = 19;
/** Pixels to one pixel of the maps. */
export const openposeStride = 8;

/** Widths of its layers. */
export interface OpenposeConfig {
  /** Of the trunk, before each of the three poolings and after them. */
  levels: readonly [number, number, number, number];
  /** Of `conv4_3_CPM`. */
  narrowed: number;
  /** Of the trunk's result, which every stage sees. */
  features: number;
  /** Inside the branches. */
  hidden: number;
  /** Of `conv5_4_CPM_*`. */
  wide: number;
  stages: number;
}

export interface Openpose {
  config: OpenposeConfig;
  weights: NetworkWeights;
}

/** Of the picture; multiples of 8. */
export interface OpenposeShape {
  height: number;
  width: number;
}

/**
 * `image` (float32 [1, 3, H, W], blue first, from -0.5 to 0.5) → `paf` (float32 [1, 38, H/8, W/8]), where limbs point,
 * and `heatmap` (float32 [1, 19, H/8, W/8]), where parts are.
 *
 * @param path of the published file, `body_pose_model.pth`
 */
export function openposeNetwork(path: string, shape: OpenposeShape): Network {
  return {
    key: `openpose, ${shape.width}×${shape.height}, of ${path}`,
    build: async () => {
      const weights = await openWeights([path]);
      return openposeModel({ config: openposeConfig(weights), weights }, shape);
    },
  };
}

export function openposeConfig(w: Weights): OpenposeConfig {
  const width = (layer: string): number => w.shape(`${layer}.weight`)[0]!;
  let stages = 1;
  while (w.has(`Mconv1_stage${stages + 1}_L1.weight`)) stages++;
  return {
    levels: [width('conv1_1'), width('conv2_1'), width('conv3_1'), width('conv4_1')],
    narrowed: width('conv4_3_CPM'),
    features: width('conv4_4_CPM'),
    hidden: width('conv5_1_CPM_L1'),
    wide: width('conv5_4_CPM_L1'),
    stages,
  };
}

export function openposeModel({ config, weights }: Openpose, { height, width }: OpenposeShape): OnnxModel {
  const g = createGraph('openpose');
  const features = trunk(g, weights, config, g.input('image', 'float32', [1, 3, height, width]));
  let paf = firstStage(g, weights, config, features, 'L1', affinityChannels);
  let heatmap = firstStage(g, weights, config, features, 'L2', heatChannels);
  for (let stage = 2; stage <= config.stages; stage++) {
    const seen = concat(g, [paf, heatmap, features], 1);
    paf = laterStage(g, weights, config, seen, `stage${stage}_L1`, affinityChannels);
    heatmap = laterStage(g, weights, config, seen, `stage${stage}_L2`, heatChannels);
  }
  g.output('paf', paf);
  // The original's list of layers without a ReLU names the last one of L1 twice and that of L2 never.
  g.output('heatmap', config.stages > 1 ? relu(g, heatmap) : heatmap);
  weights.finish();
  return writeModel(g);
}

function convolution(g: Graph, w: Weights, x: Value, layer: string, channels: number, kernel: number): Value {
  return conv2d(g, w.at(layer), x, channels, { kernel, padding: (kernel - 1) / 2 });
}

function activated(g: Graph, w: Weights, x: Value, layer: string, channels: number, kernel: number): Value {
  return relu(g, convolution(g, w, x, layer, channels, kernel));
}

/** [1, 3, H, W] -> [1, features, H/8, W/8] */
function trunk(g: Graph, w: Weights, { levels, narrowed, features }: OpenposeConfig, image: Value): Value {
  let x = image;
  for (const [level, layers] of [2, 2, 4, 2].entries()) {
    if (level > 0) x = maxPool(g, x, 2, { stride: 2 });
    for (let layer = 1; layer <= layers; layer++) {
      x = activated(g, w, x, `conv${level + 1}_${layer}`, levels[level]!, 3);
    }
  }
  x = activated(g, w, x, 'conv4_3_CPM', narrowed, 3);
  return activated(g, w, x, 'conv4_4_CPM', features, 3);
}

/** [1, features, h, w] -> [1, channels, h, w] */
function firstStage(g: Graph, w: Weights, config: OpenposeConfig, x: Value, branch: string, channels: number): Value {
  let inner = x;
  for (let layer = 1; layer <= 3; layer++) {
    inner = activated(g, w, inner, `conv5_${layer}_CPM_${branch}`, config.hidden, 3);
  }
  inner = activated(g, w, inner, `conv5_4_CPM_${branch}`, config.wide, 1);
  return convolution(g, w, inner, `conv5_5_CPM_${branch}`, channels, 1);
}

/** [1, 38 + 19 + features, h, w] -> [1, channels, h, w] */
function laterStage(g: Graph, w: Weights, { hidden }: OpenposeConfig, x: Value, name: string, channels: number): Value {
  let inner = x;
  for (let layer = 1; layer <= 5; layer++) inner = activated(g, w, inner, `Mconv${layer}_${name}`, hidden, 7);
  inner = activated(g, w, inner, `Mconv6_${name}`, hidden, 1);
  return convolution(g, w, inner, `Mconv7_${name}`, channels, 1);
}
