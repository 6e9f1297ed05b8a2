/**
 * MiDaS' DPT-hybrid, which sees how near each pixel of a picture is (arXiv 2103.13413): three stages of a residual
 * network, a vision transformer over what they find, and four levels of both fused from coarse to fine. After
 * controlnet_aux v0.0.3 `midas/midas/{dpt_depth,vit,blocks}.py` and timm v0.6.13 `vision_transformer_hybrid.py`,
 * `resnetv2.py`. The same network in the layout of huggingface/transformers is read under MiDaS' names
 * (`dpt-hybrid-transformers.ts`).
 *
 * Not here: other backbones, other readouts than "project", batch norms in the fusion.
 */
import { WeightError } from '../base/errors.ts';
import { asCount, asOptions, asPositive, countOf } from '../networks/config-options.ts';
import { attention } from '../onnx/attention.ts';
import { createGraph, type Graph, type Value } from '../onnx/graph.ts';
import { conv2d, layerNorm, linear } from '../onnx/layers.ts';
import type { Network, OnnxModel } from '../onnx/model.ts';
import { add, concat, fromTokens, gelu, relu, reshape, resizeLinear, slice, toTokens, transpose } from '../onnx/ops.ts';
import { gemm, rows } from '../onnx/products.ts';
import { writeModel } from '../onnx/write.ts';
import { type NetworkWeights, openWeights, type Weights } from '../weights/scope.ts';
import { type ResidualStagesConfig, residualStages, residualStagesConfig } from './residual-stages.ts';

export interface DptHybridConfig {
  stages: ResidualStagesConfig;
  width: number;
  heads: number;
  /** Of the transformer's norms. */
  epsilon: number;
  /** Whether query, key and value of a layer are stored as one matrix. */
  joined: boolean;
  mlpWidth: number;
  layers: number;
  /** Side of the square of positions that the transformer was trained with. */
  grid: number;
  /** Of what is read from the transformer after three quarters of its layers and after all. */
  readoutWidths: readonly [number, number];
  /** Of all levels while they are fused. */
  fusionWidth: number;
  headWidths: readonly [number, number];
}

export interface DptHybridShape {
  batch: number;
  /** Both sides multiples of 32. */
  height: number;
  width: number;
}

export interface DptHybrid {
  config: DptHybridConfig;
  weights: NetworkWeights;
}

/** Of the norms that timm makes, which MiDaS does not change. */
const timmEpsilon = 1e-6;

/**
 * `pixel_values` (float32 [B, 3, H, W], -1 to 1) → `predicted_depth` (float32 [B, H, W], 0 is far, of no known scale).
 *
 * @param path MiDaS' `dpt_hybrid-midas-501f0c75.pt`
 */
export function dptHybridNetwork(path: string, shape: DptHybridShape): Network {
  return {
    key: `dpt-hybrid, batch ${shape.batch}, ${shape.height} x ${shape.width}, of ${path}`,
    build: async () => {
      const weights = await openWeights([path]);
      return dptHybridModel({ config: dptHybridConfig(weights), weights }, shape);
    },
  };
}

/**
 * @param json the arguments of the reference that cannot be seen in the weights, where they are not the usual ones;
 * the published file comes with none
 */
export function dptHybridConfig(w: Weights, json: unknown = {}): DptHybridConfig {
  const { num_heads, num_groups = 32, layer_norm_eps = timmEpsilon } = asOptions(json);
  const model = w.at('pretrained.model');
  const [, positions, width] = model.shape('pos_embed') as [number, number, number];
  const layers = countOf((index) => model.has(`blocks.${index}.norm1.weight`));
  const heads = asCount(num_heads ?? width / 64, 'num_heads');
  const grid = Math.sqrt(positions - 1);
  if (width % heads !== 0 || !Number.isInteger(grid) || layers < 2) {
    throw new WeightError(
      `A transformer of ${layers} layers, width ${width}, ${heads} heads and ${positions} positions is not that of ` +
        'a DPT-hybrid network. Use the file that the model names.',
    );
  }
  const widthOf = (level: number): number => w.shape(`scratch.layer${level}_rn.weight`)[1]!;
  return {
    stages: residualStagesConfig(model.at('patch_embed.backbone'), asCount(num_groups, 'num_groups')),
    width,
    heads,
    epsilon: asPositive(layer_norm_eps, 'layer_norm_eps'),
    joined: model.has('blocks.0.attn.qkv.weight'),
    mlpWidth: model.shape('blocks.0.mlp.fc1.weight')[0]!,
    layers,
    grid,
    readoutWidths: [widthOf(3), widthOf(4)],
    fusionWidth: w.shape('scratch.layer1_rn.weight')[0]!,
    headWidths: [w.shape('scratch.output_conv.0.weight')[0]!, w.shape('scratch.output_conv.2.weight')[0]!],
  };
}

export function dptHybridModel({ config, weights }: DptHybrid, { batch, height, width }: DptHybridShape): OnnxModel {
  if (height % 32 !== 0 || width % 32 !== 0) {
    throw new RangeError(`DPT-hybrid cannot take ${width} x ${height} pixels: both have to be multiples of 32.`);
  }
  const g = createGraph('dpt-hybrid');
  const pixels = g.input('pixel_values', 'float32', [batch, 3, height, width]);
  const path = fuseLevels(g, weights.at('scratch'), config, levels(g, weights.at('pretrained'), config, pixels));
  const depth = head(g, weights.at('scratch.output_conv'), config, path);
  g.output('predicted_depth', reshape(g, depth, [batch, height, width]));
  weights.finish(isWithoutUse);
  return writeModel(g);
}

/** What the transformer would classify with, and a unit of the coarsest level, which has no coarser one to be added to. */
function isWithoutUse(name: string): boolean {
  return /^pretrained\.model\.(?:norm|head)\.|^scratch\.refinenet4\.resConfUnit1\./.test(name);
}

/** [B, 3, H, W] -> the pictures that are fused, 1/4, 1/8, 1/16 and 1/32 of the size */
function levels(g: Graph, w: Weights, config: DptHybridConfig, pixels: Value): Value[] {
  const { width, layers, readoutWidths } = config;
  const model = w.at('model');
  const stages = residualStages(g, model.at('patch_embed.backbone'), config.stages, pixels);
  const grid = conv2d(g, model.at('patch_embed.proj'), stages.at(-1)!, width, { kernel: 1 });
  const states = transformer(g, model, config, grid);
  // Of 12 layers the 9th and the last.
  const third = readout(g, w.at('act_postprocess3'), states[Math.floor((layers * 3) / 4)]!, grid);
  const fourth = readout(g, w.at('act_postprocess4'), states[layers]!, grid);
  const coarse = conv2d(g, w.at('act_postprocess4.3'), fourth, readoutWidths[1], { kernel: 1 });
  return [
    stages[0]!,
    stages[1]!,
    conv2d(g, w.at('act_postprocess3.3'), third, readoutWidths[0], { kernel: 1 }),
    conv2d(g, w.at('act_postprocess4.4'), coarse, readoutWidths[1], { kernel: 3, stride: 2, padding: 1 }),
  ];
}

/** The tokens before the first layer and after each, the class token before those of the picture. -> [B*T, width] */
function transformer(g: Graph, w: Weights, config: DptHybridConfig, picture: Value): Value[] {
  const { width, layers } = config;
  const [batch, , height, columns] = picture.dims as [number, number, number, number];
  const length = height * columns + 1;
  const tokens = reshape(g, toTokens(g, picture), [batch, length - 1, width]);
  const classToken = g.weight(w.tensor('cls_token', [1, 1, width]));
  const classes = concat(g, new Array<Value>(batch).fill(classToken), 0); // [B, 1, width]
  const placed = add(g, concat(g, [classes, tokens], 1), positionsOf(g, w, config, picture));
  const states = [reshape(g, placed, [batch * length, width])];
  for (let index = 0; index < layers; index++) {
    states.push(layer(g, w.at(`blocks.${index}`), config, states.at(-1)!, batch));
  }
  return states;
}

/** The learned square of positions, stretched over the picture. ONNX Runtime does this once, when it loads the graph. */
function positionsOf(g: Graph, w: Weights, { width, grid }: DptHybridConfig, picture: Value): Value {
  const [, , height, columns] = picture.dims as [number, number, number, number];
  const table = g.weight(w.tensor('pos_embed', [1, grid ** 2 + 1, width]));
  if (height === grid && columns === grid) return table;
  const square = reshape(g, slice(g, table, 1, 1, grid ** 2 + 1), [1, grid, grid, width]);
  const stretched = resizeLinear(g, transpose(g, square, [0, 3, 1, 2]), height, columns, false);
  const tokens = reshape(g, toTokens(g, stretched), [1, height * columns, width]);
  return concat(g, [slice(g, table, 1, 0, 1), tokens], 1);
}

function layer(g: Graph, w: Weights, config: DptHybridConfig, x: Value, batch: number): Value {
  const { width, heads, mlpWidth, epsilon, joined } = config;
  const normed = layerNorm(g, w.at('norm1'), x, epsilon);
  const project = joined ? thirds : three;
  const [query, key, value] = project(g, w.at('attn.qkv'), normed, width);
  const mixed = attention(g, query, key, value, { batch, heads });
  const attended = add(g, x, linear(g, w.at('attn.proj'), mixed, width));
  const wide = gelu(g, linear(g, w.at('mlp.fc1'), layerNorm(g, w.at('norm2'), attended, epsilon), mlpWidth));
  return add(g, attended, linear(g, w.at('mlp.fc2'), wide, width));
}

/** Query, key and value of a matrix each. [N, width] -> 3 of [N, width] */
function three(g: Graph, w: Weights, x: Value, width: number): [Value, Value, Value] {
  const one = (name: string): Value => linear(g, w.at(name), x, width);
  return [one('query'), one('key'), one('value')];
}

/** Query, key and value of one stored matrix. [N, width] -> 3 of [N, width] */
function thirds(g: Graph, w: Weights, x: Value, width: number): [Value, Value, Value] {
  const weight = w.tensor('weight', [3 * width, width]);
  const bias = w.tensor('bias', [3 * width]);
  const third = (index: number): Value =>
    gemm(g, x, rows(g, weight, index * width, width), rows(g, bias, index * width, width));
  return [third(0), third(1), third(2)];
}

/**
 * Each token together with the class token, which is the same for all of them: its half of the product is computed once.
 *
 * @param picture of the shape that the tokens have as a picture
 */
function readout(g: Graph, w: Weights, tokens: Value, picture: Value): Value {
  const [batch, width, height, columns] = picture.dims as [number, number, number, number];
  const length = height * columns;
  const perBatch = reshape(g, tokens, [batch, length + 1, width]);
  const project = w.at('0.project.0');
  const weight = g.weight(project.tensor('weight', [width, 2 * width]));
  const bias = g.weight(project.tensor('bias', [width]));
  const half = (first: number, end: number, addend: Value | undefined, side: number): Value => {
    const x = reshape(g, slice(g, perBatch, 1, first, end), [batch * (end - first), width]);
    const product = gemm(g, x, slice(g, weight, 1, side * width, (side + 1) * width), addend);
    return reshape(g, product, [batch, end - first, width]);
  };
  const projected = gelu(g, add(g, half(1, length + 1, undefined, 0), half(0, 1, bias, 1)));
  return fromTokens(g, reshape(g, projected, [batch * length, width]), picture);
}

/** From the coarsest level on, each is added to what came before and doubled in size. -> [B, width, H/2, W/2] */
function fuseLevels(g: Graph, w: Weights, { fusionWidth }: DptHybridConfig, pictures: readonly Value[]): Value {
  let path: Value | undefined;
  for (let level = pictures.length; level >= 1; level--) {
    const convolution = { kernel: 3, padding: 1, bias: false };
    const found = conv2d(g, w.at(`layer${level}_rn`), pictures[level - 1]!, fusionWidth, convolution);
    const block = w.at(`refinenet${level}`);
    const joined: Value = path ? add(g, path, residualUnit(g, block.at('resConfUnit1'), found)) : found;
    const refined = double(g, residualUnit(g, block.at('resConfUnit2'), joined));
    path = conv2d(g, block.at('out_conv'), refined, fusionWidth, { kernel: 1 });
  }
  return path!;
}

function residualUnit(g: Graph, w: Weights, x: Value): Value {
  const width = x.dims[1]!;
  const first = conv2d(g, w.at('conv1'), relu(g, x), width, { kernel: 3, padding: 1 });
  return add(g, conv2d(g, w.at('conv2'), relu(g, first), width, { kernel: 3, padding: 1 }), x);
}

function double(g: Graph, x: Value): Value {
  return resizeLinear(g, x, 2 * x.dims[2]!, 2 * x.dims[3]!, true);
}

/** [B, width, H/2, W/2] -> [B, 1, H, W] */
function head(g: Graph, w: Weights, { headWidths }: DptHybridConfig, x: Value): Value {
  const [first, second] = headWidths;
  const large = double(g, conv2d(g, w.at('0'), x, first, { kernel: 3, padding: 1 }));
  const narrow = relu(g, conv2d(g, w.at('2'), large, second, { kernel: 3, padding: 1 }));
  return relu(g, conv2d(g, w.at('4'), narrow, 1, { kernel: 1 }));
}
