/**
 * M-LSD large, which finds line segments (arXiv 2106.00186), after huggingface/controlnet_aux v0.0.3
 * `mlsd/models/mbv2_mlsd_large.py`: MobileNetV2 without its last stages, and a decoder that comes back to half the
 * picture's size.
 *
 * Not here: what the maps mean (`line-segments.ts`).
 */
import { createGraph, type Graph, type Value } from '../onnx/graph.ts';
import { batchNorm, conv2d, isBatchCount } from '../onnx/layers.ts';
import type { Network, OnnxModel } from '../onnx/model.ts';
import { add, concat, relu, relu6, resizeLinear, slice } from '../onnx/ops.ts';
import { writeModel } from '../onnx/write.ts';
import { type NetworkWeights, openWeights, type Weights } from '../weights/scope.ts';

export interface MlsdConfig {
  /** Channels after the first convolution. */
  stem: number;
  /** The inverted residuals, thirteen of them. */
  blocks: readonly MlsdBlock[];
  /** Channels of the decoder. */
  width: number;
}

export interface MlsdBlock {
  /** Channels of its depthwise convolution. */
  hidden: number;
  channels: number;
}

export interface Mlsd {
  config: MlsdConfig;
  weights: NetworkWeights;
}

/** Of the picture, in multiples of 32. */
export interface MlsdShape {
  height: number;
  width: number;
}

/** `image` (float32 [1, 4, H, W]: red, green, blue and ones) → `maps` (float32 [1, 9, H/2, W/2]). */
export function mlsdNetwork(path: string, shape: MlsdShape): Network {
  return {
    key: `mlsd, ${shape.width}×${shape.height}, of ${path}`,
    build: async () => {
      const weights = await openWeights([path]);
      return mlsdModel({ config: mlsdConfig(weights), weights }, shape);
    },
  };
}

const blockCount = 13;

/** Numbers of the features that halve the picture; the first convolution is number 0. */
const halving = [0, 2, 4, 7];

/** Numbers of the features that the decoder takes, the largest picture first. */
const taps = [1, 3, 6, 10, 13];

/** The first seven of the last convolution's channels served training alone. */
const mapChannels = { all: 16, unused: 7 };

export function mlsdConfig(w: Weights): MlsdConfig {
  const features = w.at('backbone.features');
  const blocks = Array.from({ length: blockCount }, (_, index) => {
    const block = features.at(`${index + 1}.conv`);
    // The first one does not widen its input, so that its convolutions are numbered one lower.
    const [depthwise, narrow] = index === 0 ? ['0.0', '1'] : ['1.0', '2'];
    return { hidden: block.shape(`${depthwise}.weight`)[0]!, channels: block.shape(`${narrow}.weight`)[0]! };
  });
  return { stem: features.shape('0.0.weight')[0]!, blocks, width: w.shape('block15.conv1.0.weight')[0]! };
}

export function mlsdModel({ config, weights }: Mlsd, { height, width }: MlsdShape): OnnxModel {
  const g = createGraph('mlsd');
  const image = g.input('image', 'float32', [1, 4, height, width]);
  const [c1, c2, c3, c4, c5] = backbone(g, weights.at('backbone.features'), config, image) as Five<Value>;
  const join = (name: string, a: Value, b: Value): Value => blockA(g, weights.at(name), a, b, config.width);
  const mix = (name: string, x: Value): Value => blockB(g, weights.at(name), x, config.width);
  let x = mix('block16', join('block15', c4, c5));
  x = mix('block18', join('block17', c3, x));
  x = mix('block20', join('block19', c2, x));
  x = mix('block22', join('block21', c1, x));
  x = blockC(g, weights.at('block23'), x, mapChannels.all);
  g.output('maps', slice(g, x, 1, mapChannels.unused, mapChannels.all));
  weights.finish(isBatchCount);
  return writeModel(g);
}

type Five<Item> = [Item, Item, Item, Item, Item];

/** [1, 4, H, W] -> one picture for each tap */
function backbone(g: Graph, w: Weights, { stem, blocks }: MlsdConfig, image: Value): Value[] {
  let x = relu6(g, convNorm(g, w.at('0'), image, stem, { kernel: 3, stride: 2 }));
  const features = blocks.map((block, index) => {
    const stride = halving.includes(index + 1) ? 2 : 1;
    x = invertedResidual(g, w.at(`${index + 1}.conv`), x, block, stride);
    return x;
  });
  return taps.map((number) => features[number - 1]!);
}

/** `InvertedResidual`. [B, C, H, W] -> [B, channels, H/stride, W/stride] */
function invertedResidual(g: Graph, w: Weights, x: Value, { hidden, channels }: MlsdBlock, stride: 1 | 2): Value {
  const widens = hidden !== x.dims[1];
  const wide = widens ? relu6(g, convNorm(g, w.at('0'), x, hidden, { kernel: 1 })) : x;
  const first = widens ? 1 : 0;
  const depthwise = convNorm(g, w.at(`${first}`), wide, hidden, { kernel: 3, stride, groups: hidden });
  const narrow = conv2d(g, w.at(`${first + 1}`), relu6(g, depthwise), channels, { kernel: 1, bias: false });
  const y = batchNorm(g, w.at(`${first + 2}`), narrow);
  return stride === 1 && channels === x.dims[1] ? add(g, x, y) : y;
}

interface ConvNormOptions {
  kernel: 1 | 3;
  stride?: 1 | 2;
  groups?: number;
}

/** `ConvBNReLU` without its activation. Like TensorFlow, it pads only below and to the right where it halves. */
function convNorm(g: Graph, w: Weights, x: Value, channels: number, options: ConvNormOptions): Value {
  const padding = options.stride === 2 ? ([0, 0, 1, 1] as const) : (options.kernel - 1) / 2;
  return batchNorm(g, w.at('1'), conv2d(g, w.at('0'), x, channels, { ...options, padding, bias: false }));
}

/** `BlockTypeA`: two pictures on top of each other; the second one may be half as large. */
function blockA(g: Graph, w: Weights, a: Value, b: Value, channels: number): Value {
  const [, , height, width] = a.dims as [number, number, number, number];
  const left = convNormRelu(g, w.at('conv2'), a, channels, { kernel: 1 });
  const right = convNormRelu(g, w.at('conv1'), b, channels, { kernel: 1 });
  return concat(g, [left, b.dims[2] === height ? right : resizeLinear(g, right, height, width, true)], 1);
}

/** `BlockTypeB` */
function blockB(g: Graph, w: Weights, x: Value, channels: number): Value {
  const same = { kernel: 3, padding: 1 };
  const mixed = add(g, convNormRelu(g, w.at('conv1'), x, x.dims[1]!, same), x);
  return convNormRelu(g, w.at('conv2'), mixed, channels, same);
}

/** `BlockTypeC` */
function blockC(g: Graph, w: Weights, x: Value, channels: number): Value {
  const inChannels = x.dims[1]!;
  const far = convNormRelu(g, w.at('conv1'), x, inChannels, { kernel: 3, padding: 5, dilation: 5 });
  const near = convNormRelu(g, w.at('conv2'), far, inChannels, { kernel: 3, padding: 1 });
  return conv2d(g, w.at('conv3'), near, channels, { kernel: 1 });
}

interface WindowOptions {
  kernel: number;
  padding?: number;
  dilation?: number;
}

function convNormRelu(g: Graph, w: Weights, x: Value, channels: number, options: WindowOptions): Value {
  return relu(g, batchNorm(g, w.at('1'), conv2d(g, w.at('0'), x, channels, options)));
}
