/**
 * The face detector SCRFD (Guo et al., arXiv 2105.04714), layer by layer, as deepinsight/insightface at 7fadd42
 * `detection/scrfd/configs/scrfd/scrfd_10g_bnkps.py` sets it up: a ResNet-V1e, a path aggregation network and a head for
 * each of three grids. Tensors are named as in its checkpoints.
 *
 * The published network is an `.onnx` file that runs as it is (`detect.ts`). This is where small ones of its kind are from.
 */
import { createGraph, type Graph, type Value } from '../onnx/graph.ts';
import { batchNorm, conv2d } from '../onnx/layers.ts';
import { add, multiply, relu, sigmoid, transpose } from '../onnx/ops.ts';
import { maxPool } from '../onnx/pooling.ts';
import type { Weights } from '../weights/scope.ts';

export interface ScrfdConfig {
  /** After the first layers. */
  stem: number;
  /** Of the backbone, from a quarter of the picture's sides to a 32nd. */
  stages: readonly { channels: number; blocks: number }[];
  /** Between the grids. */
  neck: number;
  head: { channels: number; layers: number };
}

export const scrfd10g: ScrfdConfig = {
  stem: 56,
  stages: [
    { channels: 56, blocks: 3 },
    { channels: 88, blocks: 4 },
    { channels: 88, blocks: 2 },
    { channels: 224, blocks: 3 },
  ],
  neck: 56,
  head: { channels: 80, layers: 3 },
};

const strides = [8, 16, 32];
const facesPerPlace = 2;

/** Of the published file: the input, and the outputs in its order. */
export const scrfdInput = 'input.1';
export const scrfdOutputs = ['448', '471', '494', '451', '474', '497', '454', '477', '500'];
/** Of both, the axes whose lengths it leaves open. */
export const scrfdOpenAxes = { [scrfdInput]: [2, 3], ...Object.fromEntries(scrfdOutputs.map((name) => [name, [0]])) };

/**
 * `input.1` (float32 [1, 3, side, side], red first, from -1 to 1) → for each grid scores [N, 1], then boxes [N, 4], then
 * points [N, 10], in strides. No node holds the side: a file that leaves it open takes pictures of any multiple of 32.
 */
export function scrfdGraph(config: ScrfdConfig, weights: Weights, side: number): Graph {
  const g = createGraph('scrfd');
  const picture = g.input(scrfdInput, 'float32', [1, 3, side, side]);
  const levels = backbone(g, weights.at('backbone'), picture, config);
  const grids = neck(g, weights.at('neck'), levels.slice(1), config.neck);
  const found = grids.map((grid, index) => head(g, weights.at('bbox_head'), grid, index, config.head));
  const outputs = ['scores', 'boxes', 'points'] as const;
  for (const [index, name] of scrfdOutputs.entries()) {
    g.output(name, found[index % strides.length]![outputs[Math.floor(index / strides.length)]!]);
  }
  return g;
}

/** Pictures of a quarter, an eighth, a 16th and a 32nd of the sides. */
function backbone(g: Graph, w: Weights, picture: Value, { stem, stages }: ScrfdConfig): Value[] {
  let x = picture;
  for (const [index, channels] of [stem / 2, stem / 2, stem].entries()) {
    x = conv2d(g, w.at(`stem.${3 * index}`), x, channels, {
      ...threeByThree,
      stride: index === 0 ? 2 : 1,
      bias: false,
    });
    x = relu(g, batchNorm(g, w.at(`stem.${3 * index + 1}`), x));
  }
  x = maxPool(g, x, 2, { stride: 2 });
  return stages.map(({ channels, blocks }, stage) => {
    for (let index = 0; index < blocks; index++) {
      const stride = stage > 0 && index === 0 ? 2 : 1;
      x = basicBlock(g, w.at(`layer${stage + 1}.${index}`), x, channels, stride);
    }
    return x;
  });
}

const threeByThree = { kernel: 3, padding: 1 };

function basicBlock(g: Graph, w: Weights, x: Value, channels: number, stride: number): Value {
  let y = conv2d(g, w.at('conv1'), x, channels, { ...threeByThree, stride, bias: false });
  y = relu(g, batchNorm(g, w.at('bn1'), y));
  y = batchNorm(g, w.at('bn2'), conv2d(g, w.at('conv2'), y, channels, { ...threeByThree, bias: false }));
  return relu(g, add(g, y, shortcut(g, w.at('downsample'), x, channels, stride)));
}

function shortcut(g: Graph, w: Weights, x: Value, channels: number, stride: number): Value {
  if (stride === 1 && x.dims[1] === channels) return x;
  const smaller = stride === 1 ? x : halve(g, x);
  // Where nothing is halved, its layer is left out and the others move up.
  const first = stride === 1 ? 0 : 1;
  const y = conv2d(g, w.at(`${first}`), smaller, channels, { kernel: 1, bias: false });
  return batchNorm(g, w.at(`${first + 1}`), y);
}

/** The mean of each four pixels. */
function halve(g: Graph, x: Value): Value {
  const [batch, channels, height, width] = x.dims as [number, number, number, number];
  const attributes = { kernel_shape: { integers: [2, 2] }, strides: { integers: [2, 2] }, ceil_mode: { integer: 1 } };
  return g.node('AveragePool', [x], { dims: [batch, channels, height / 2, width / 2] }, { attributes });
}

/** What is coarse comes down to what is fine, and then back up (PANet, arXiv 1803.01534). */
function neck(g: Graph, w: Weights, levels: readonly Value[], channels: number): Value[] {
  const conv = (name: string, x: Value, options: { kernel: number; padding?: number; stride?: number }): Value =>
    conv2d(g, w.at(`${name}.conv`), x, channels, options);
  const laterals = levels.map((level, index) => conv(`lateral_convs.${index}`, level, { kernel: 1 }));
  for (let index = levels.length - 1; index > 0; index--) {
    laterals[index - 1] = add(g, laterals[index - 1]!, enlarge(g, laterals[index]!));
  }
  const outputs = laterals.map((lateral, index) => conv(`fpn_convs.${index}`, lateral, threeByThree));
  for (let index = 0; index < levels.length - 1; index++) {
    const down = conv(`downsample_convs.${index}`, outputs[index]!, { ...threeByThree, stride: 2 });
    outputs[index + 1] = add(g, outputs[index + 1]!, down);
  }
  return outputs.map((output, index) =>
    index === 0 ? output : conv(`pafpn_convs.${index - 1}`, output, threeByThree),
  );
}

/** Every pixel becomes four, whatever the size. */
function enlarge(g: Graph, x: Value): Value {
  const [batch, channels, height, width] = x.dims as [number, number, number, number];
  const attributes = {
    mode: { text: 'nearest' },
    nearest_mode: { text: 'floor' },
    coordinate_transformation_mode: { text: 'asymmetric' },
  };
  const factors = g.constant({ type: 'float32', dims: [4], data: Float32Array.of(1, 1, 2, 2) });
  const dims = [batch, channels, 2 * height, 2 * width];
  return g.node('Resize', [x, undefined, factors], { dims }, { attributes });
}

function head(g: Graph, w: Weights, grid: Value, index: number, { channels, layers }: ScrfdConfig['head']) {
  const key = `(${strides[index]}, ${strides[index]})`;
  let x = grid;
  for (let layer = 0; layer < layers; layer++) {
    const own = w.at(`cls_stride_convs.${key}.${layer}`);
    x = relu(g, batchNorm(g, own.at('bn'), conv2d(g, own.at('conv'), x, channels, { ...threeByThree, bias: false })));
  }
  const told = (name: string, values: number): Value =>
    conv2d(g, w.at(`${name}.${key}`), x, values * facesPerPlace, threeByThree);
  const scale = g.weight(w.at(`scales.${index}`).tensor('scale', []));
  return {
    scores: sigmoid(g, listed(g, told('stride_cls', 1), 1)),
    boxes: listed(g, multiply(g, told('stride_reg', 4), scale), 4),
    points: listed(g, told('stride_kps', 10), 10),
  };
}

/** One row for each face that was looked for. [1, 2 · values, H, W] -> [2 · H · W, values] */
function listed(g: Graph, x: Value, values: number): Value {
  const [, , height, width] = x.dims as [number, number, number, number];
  const shape = g.constant({ type: 'int64', dims: [2], data: BigInt64Array.of(-1n, BigInt(values)) });
  const dims = [facesPerPlace * height * width, values];
  return g.node('Reshape', [transpose(g, x, [0, 2, 3, 1]), shape], { dims });
}
