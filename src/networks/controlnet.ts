/**
 * ControlNet (arXiv 2302.05543), after huggingface/diffusers v0.24.0 `models/controlnet.py`. It is built into the
 * graph of the UNet that it steers, so its results never leave ONNX Runtime; alone it is for comparing numbers.
 * InstantID's IdentityNet is one whose context is image tokens.
 *
 * Not here: guess mode, pooled conditions, conditions that are not eight times the latents' size.
 */
import { WeightError } from '../base/errors.ts';
import { createGraph, type Graph, type Value } from '../onnx/graph.ts';
import { conv2d } from '../onnx/layers.ts';
import type { OnnxModel } from '../onnx/model.ts';
import { add, concat, multiply, reshape, silu, slice } from '../onnx/ops.ts';
import { writeModel } from '../onnx/write.ts';
import { openNetworkFiles } from '../weights/network-files.ts';
import type { NetworkWeights, Weights } from '../weights/scope.ts';
import { type Encoded, encoder } from './unet-blocks.ts';
import { type ControlnetConfig, controlnetConfig } from './unet-config.ts';
import { type AddedInputs, addedInputs, timeEmbedding } from './unet-time.ts';

export interface Controlnet {
  config: ControlnetConfig;
  weights: NetworkWeights;
}

/** A ControlNet in the graph of a UNet. */
export interface ControlnetUse extends Controlnet {
  /** Pictures in its condition: 1 serves every row of the UNet's batch. */
  conditionBatch: number;
  /** Tokens of a context of its own, in place of the UNet's. */
  contextLength?: number;
}

export interface ControlnetInputs {
  /** [B, 4, H, W] */
  sample: Value;
  /** [1 or B] */
  timestep: Value;
  /** [B*T, contextWidth] */
  context: Value;
  /** [1 or B, 3, 8H, 8W], RGB from 0 to 1 */
  condition: Value;
  /** Factor of everything that it adds to the UNet. [1] */
  scale: Value;
  added: AddedInputs | undefined;
}

export interface ControlnetShape {
  batch: number;
  /** Of the latents: an eighth of the picture's. */
  height: number;
  width: number;
  /** Tokens of the context. */
  textLength: number;
  conditionBatch: number;
  /** Values of `timestep`; one for the whole batch unless given. */
  timesteps?: number;
}

export async function openControlnet(folder: string): Promise<Controlnet> {
  const { config, weights } = await openNetworkFiles(folder, 'diffusion_pytorch_model');
  return { config: controlnetConfig(config, weights), weights };
}

/**
 * `sample`, `timestep`, `encoder_hidden_states`, `controlnet_cond`, `conditioning_scale` (float32 [1]) and for SDXL
 * `text_embeds`, `time_ids` → `down_block_res_samples.<i>` and `mid_block_res_sample`.
 */
export function controlnetModel(net: Controlnet, shape: ControlnetShape): OnnxModel {
  const { batch, height, width, textLength } = shape;
  const { inChannels, contextWidth } = net.config;
  const g = createGraph('controlnet');
  const sample = g.input('sample', 'float32', [batch, inChannels, height, width]);
  const timestep = g.input('timestep', 'float32', [shape.timesteps ?? 1]);
  const states = g.input('encoder_hidden_states', 'float32', [batch, textLength, contextWidth]);
  const encoded = controlnet(g, net, {
    sample,
    timestep,
    context: reshape(g, states, [batch * textLength, contextWidth]), // [B, T, width] -> [B*T, width]
    condition: g.input('controlnet_cond', 'float32', conditionDims(net.config, shape)),
    scale: g.input('conditioning_scale', 'float32', [1]),
    added: addedInputs(g, net.config, batch),
  });
  encoded.skips.forEach((skip, index) => void g.output(`down_block_res_samples.${index}`, skip));
  g.output('mid_block_res_sample', encoded.middle);
  net.weights.finish();
  return writeModel(g);
}

/** Each of the condition's convolutions but the first and the last halves its sides. */
export function conditionDims(
  { conditionChannels }: ControlnetConfig,
  shape: Pick<ControlnetShape, 'conditionBatch' | 'height' | 'width'>,
): readonly number[] {
  const factor = 2 ** (conditionChannels.length - 1);
  return [shape.conditionBatch, 3, factor * shape.height, factor * shape.width];
}

/** What is added to each skip and to the middle of the UNet. */
export function controlnet(g: Graph, { config, weights: w }: Controlnet, inputs: ControlnetInputs): Encoded {
  if (config.added && !inputs.added) throw misfit();
  const time = timeEmbedding(g, w, config, inputs.timestep, inputs.added);
  const noisy = conv2d(g, w.at('conv_in'), inputs.sample, config.down[0]!.channels, { kernel: 3, padding: 1 });
  const x = add(g, noisy, conditionEmbedding(g, w.at('controlnet_cond_embedding'), config, inputs.condition));
  const contexts = inputs.sample.dims[0]!;
  const { skips, middle } = encoder(g, w, config, x, { time, context: inputs.context, contexts });
  const result = (layer: Weights, value: Value): Value =>
    multiply(g, conv2d(g, layer, value, value.dims[1]!, { kernel: 1 }), inputs.scale);
  return {
    skips: skips.map((skip, index) => result(w.at(`controlnet_down_blocks.${index}`), skip)),
    middle: result(w.at('controlnet_mid_block'), middle),
  };
}

/** @throws WeightError when the results are of another kind of network than the UNet */
export function withControl(g: Graph, encoded: Encoded, control: Encoded): Encoded {
  const plus = (value: Value, other: Value | undefined): Value => {
    if (other?.dims.join() !== value.dims.join()) throw misfit();
    return add(g, value, other);
  };
  return {
    skips: encoded.skips.map((skip, index) => plus(skip, control.skips[index])),
    middle: plus(encoded.middle, control.middle),
  };
}

function misfit(): WeightError {
  return new WeightError(
    'The ControlNet does not fit the UNet. Those of SD 1.5 and of SDXL do not go together: ' +
      'choose one that was trained for this base model.',
  );
}

/** [B, 3, 8H, 8W] -> [B, C, H, W] */
function conditionEmbedding(g: Graph, w: Weights, config: ControlnetConfig, condition: Value): Value {
  const channels = config.conditionChannels;
  let x = config.conditionOrder === 'bgr' ? reverseChannels(g, condition) : condition;
  x = silu(g, conv2d(g, w.at('conv_in'), x, channels[0]!, { kernel: 3, padding: 1 }));
  for (let index = 1; index < channels.length; index++) {
    const block = (offset: number): Weights => w.at(`blocks.${2 * (index - 1) + offset}`);
    x = silu(g, conv2d(g, block(0), x, channels[index - 1]!, { kernel: 3, padding: 1 }));
    x = silu(g, conv2d(g, block(1), x, channels[index]!, { kernel: 3, stride: 2, padding: 1 }));
  }
  return conv2d(g, w.at('conv_out'), x, config.down[0]!.channels, { kernel: 3, padding: 1 });
}

function reverseChannels(g: Graph, x: Value): Value {
  const planes = Array.from({ length: x.dims[1]! }, (_, channel) => slice(g, x, 1, channel, channel + 1));
  return concat(g, planes.toReversed(), 1);
}
