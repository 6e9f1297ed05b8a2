/**
 * The face embedder ArcFace (Deng et al., arXiv 1801.07698), layer by layer, as deepinsight/insightface at 7fadd42
 * `recognition/arcface_torch/backbones/iresnet.py` has it. Tensors are named as in its checkpoints.
 *
 * The published network is an `.onnx` file that runs as it is (`embed.ts`). This is where small ones of its kind are from.
 */
import { createGraph, type Graph, type Value } from '../onnx/graph.ts';
import { batchNorm, conv2d, linear } from '../onnx/layers.ts';
import { add, reshape } from '../onnx/ops.ts';
import type { Weights } from '../weights/scope.ts';
import { alignedSide } from './align.ts';

export interface ArcfaceConfig {
  stem: number;
  /** Each halves the sides of what it gets. */
  stages: readonly { channels: number; blocks: number }[];
  embedding: number;
}

/** ResNet-100. */
export const arcface100: ArcfaceConfig = {
  stem: 64,
  stages: [
    { channels: 64, blocks: 3 },
    { channels: 128, blocks: 13 },
    { channels: 256, blocks: 30 },
    { channels: 512, blocks: 3 },
  ],
  embedding: 512,
};

export const arcfaceInput = 'input.1';
export const arcfaceOutput = '1333';

/** `input.1` (float32 [1, 3, 112, 112], red first, from -1 to 1) → `1333` (float32 [1, 512]). */
export function arcfaceGraph({ stem, stages, embedding }: ArcfaceConfig, weights: Weights): Graph {
  const g = createGraph('arcface');
  const face = g.input(arcfaceInput, 'float32', [1, 3, alignedSide, alignedSide]);
  let x = conv2d(g, weights.at('conv1'), face, stem, { ...threeByThree, bias: false });
  x = parametricRelu(g, weights.at('prelu'), batchNorm(g, weights.at('bn1'), x));
  for (const [stage, { channels, blocks }] of stages.entries()) {
    for (let index = 0; index < blocks; index++) {
      x = block(g, weights.at(`layer${stage + 1}.${index}`), x, channels, index === 0 ? 2 : 1);
    }
  }
  x = batchNorm(g, weights.at('bn2'), x);
  x = linear(g, weights.at('fc'), reshape(g, x, [1, x.dims[1]! * x.dims[2]! * x.dims[3]!]), embedding);
  g.output(arcfaceOutput, batchNorm(g, weights.at('features'), x));
  return g;
}

const threeByThree = { kernel: 3, padding: 1 };

function block(g: Graph, w: Weights, x: Value, channels: number, stride: number): Value {
  let y = batchNorm(g, w.at('bn1'), x);
  y = conv2d(g, w.at('conv1'), y, channels, { ...threeByThree, bias: false });
  y = parametricRelu(g, w.at('prelu'), batchNorm(g, w.at('bn2'), y));
  y = batchNorm(g, w.at('bn3'), conv2d(g, w.at('conv2'), y, channels, { ...threeByThree, stride, bias: false }));
  if (stride === 1) return add(g, y, x);
  const own = w.at('downsample');
  const shortcut = conv2d(g, own.at('0'), x, channels, { kernel: 1, stride, bias: false });
  return add(g, y, batchNorm(g, own.at('1'), shortcut));
}

/** Below zero with a slope of each channel's own. */
function parametricRelu(g: Graph, w: Weights, x: Value): Value {
  const channels = x.dims[1]!;
  return g.node('PRelu', [x, g.weight(w.tensor('weight', [channels]), [channels, 1, 1])], x);
}
