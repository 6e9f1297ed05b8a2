/**
 * The residual network that a hybrid vision transformer starts with ("R50" of arXiv 2010.11929): weight-standardised
 * convolutions (arXiv 1903.10520), group norms, TensorFlow's padding. After timm v0.6.13 `models/resnetv2.py`
 * (`ResNetV2`, `Bottleneck`) and `models/layers/std_conv.py` (`StdConv2dSame`).
 *
 * Not here: pre-activation blocks, stems of several convolutions, dilation.
 */
import { countOf } from '../networks/config-options.ts';
import type { Graph, Value } from '../onnx/graph.ts';
import { groupNorm, standardize } from '../onnx/layers.ts';
import { add, relu, reshape } from '../onnx/ops.ts';
import { maxPool, samePadding } from '../onnx/pooling.ts';
import { convolve } from '../onnx/products.ts';
import type { Weights } from '../weights/scope.ts';

export interface ResidualStagesConfig {
  /** Of the first convolution. */
  stemWidth: number;
  stages: readonly { blocks: number; innerWidth: number; width: number }[];
  /** Of all norms. */
  groups: number;
}

export function residualStagesConfig(w: Weights, groups: number): ResidualStagesConfig {
  const blocksOf = (stage: number): number => countOf((block) => w.has(`stages.${stage}.blocks.${block}.conv1.weight`));
  const stages = Array.from({ length: countOf((stage) => blocksOf(stage) > 0) }, (_, stage) => {
    const [width, innerWidth] = w.shape(`stages.${stage}.blocks.0.conv3.weight`) as [number, number];
    return { blocks: blocksOf(stage), innerWidth, width };
  });
  return { stemWidth: w.shape('stem.conv.weight')[0]!, stages, groups };
}

/** What each stage finds; the first one at a quarter of the size, every other one at half that of the one before. */
export function residualStages(g: Graph, w: Weights, config: ResidualStagesConfig, pixels: Value): Value[] {
  const { stemWidth, stages, groups } = config;
  const stem = relu(g, convolveAndNorm(g, w.at('stem'), '', pixels, stemWidth, { size: 7, stride: 2, groups }));
  let x = maxPool(g, stem, 3, { stride: 2, padding: samePadding(stem, 3, 2) });
  return stages.map(({ blocks, innerWidth, width }, stage) => {
    for (let block = 0; block < blocks; block++) {
      const first = block === 0;
      const stride = first && stage > 0 ? 2 : 1;
      x = bottleneck(g, w.at(`stages.${stage}.blocks.${block}`), x, { innerWidth, width, stride, groups, first });
    }
    return x;
  });
}

interface BottleneckOptions {
  innerWidth: number;
  width: number;
  stride: number;
  groups: number;
  /** Of its stage: what goes around it is brought to its width and size. */
  first: boolean;
}

function bottleneck(g: Graph, w: Weights, x: Value, options: BottleneckOptions): Value {
  const { innerWidth, width, stride, groups, first } = options;
  const shortcut = first ? convolveAndNorm(g, w.at('downsample'), '', x, width, { size: 1, stride, groups }) : x;
  const narrow = relu(g, convolveAndNorm(g, w, '1', x, innerWidth, { size: 1, stride: 1, groups }));
  const seen = relu(g, convolveAndNorm(g, w, '2', narrow, innerWidth, { size: 3, stride, groups }));
  return relu(g, add(g, convolveAndNorm(g, w, '3', seen, width, { size: 1, stride: 1, groups }), shortcut));
}

interface ConvolutionOptions {
  size: number;
  stride: number;
  groups: number;
}

/**
 * The kernels are standardised in the graph: ONNX Runtime does it once, when it loads the graph.
 *
 * @param index of the pair in its block, as text; empty where there is only one
 */
function convolveAndNorm(
  g: Graph,
  w: Weights,
  index: string,
  x: Value,
  width: number,
  { size, stride, groups }: ConvolutionOptions,
): Value {
  const shape = [width, x.dims[1]!, size, size] as const;
  const stored = g.weight(w.at(`conv${index}`).tensor('weight', shape), [width, x.dims[1]! * size * size]);
  const kernel = reshape(g, standardize(g, stored, kernelEpsilon), shape);
  const found = convolve(g, x, kernel, undefined, { stride, padding: samePadding(x, size, stride) });
  return groupNorm(g, w.at(`norm${index}`), found, groups, normEpsilon);
}

/** As timm makes hybrid networks. */
const kernelEpsilon = 1e-8;
const normEpsilon = 1e-5;
