/**
 * ControlNet (arXiv 2302.05543), after huggingface/diffusers v0.24.0 `models/controlnet.py`. It is built into the
 * graph of the UNet that it steers, so its thirteen results never leave ONNX Runtime.
 *
 * Not here: guess mode, pooled conditions.
 */
import type { Graph, Value } from '../onnx/graph.ts';
import { conv2d } from '../onnx/layers.ts';
import { add, concat, scale, silu, slice } from '../onnx/ops.ts';
import { openNetworkFiles } from '../weights/network-files.ts';
import type { NetworkWeights, Weights } from '../weights/scope.ts';
import { type ControlnetConfig, controlnetConfig } from './config.ts';
import { type Encoded, encoder, timeEmbedding } from './unet-blocks.ts';

export interface Controlnet {
  config: ControlnetConfig;
  weights: NetworkWeights;
  /** Factor of everything that it adds to the UNet. */
  scale: number;
  /** Pictures in its condition: 1 serves every row of the UNet's batch. */
  conditionBatch: number;
}

export interface ControlnetInputs {
  /** [B, 4, H, W] */
  sample: Value;
  /** [1] */
  timestep: Value;
  /** [B*T, contextWidth] */
  context: Value;
  /** [1 or B, 3, 8H, 8W], RGB from 0 to 1 */
  condition: Value;
}

export async function openControlnet(folder: string): Promise<Pick<Controlnet, 'config' | 'weights'>> {
  const { config, weights } = await openNetworkFiles(folder, 'diffusion_pytorch_model');
  return { config: controlnetConfig(config, weights), weights };
}

/** What is added to each skip and to the middle of the UNet. */
export function controlnet(g: Graph, net: Controlnet, inputs: ControlnetInputs): Encoded {
  const { config, weights: w } = net;
  const time = timeEmbedding(g, w.at('time_embedding'), config, inputs.timestep);
  const noisy = conv2d(g, w.at('conv_in'), inputs.sample, config.levels[0]!.channels, { kernel: 3, padding: 1 });
  const x = add(g, noisy, conditionEmbedding(g, w.at('controlnet_cond_embedding'), config, inputs.condition));
  const { skips, middle } = encoder(g, w, config, x, { time, context: inputs.context });
  const result = (layer: Weights, value: Value): Value =>
    scale(g, conv2d(g, layer, value, value.dims[1]!, { kernel: 1 }), net.scale);
  const encoded = {
    skips: skips.map((skip, index) => result(w.at(`controlnet_down_blocks.${index}`), skip)),
    middle: result(w.at('controlnet_mid_block'), middle),
  };
  w.finish();
  return encoded;
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
  return conv2d(g, w.at('conv_out'), x, config.levels[0]!.channels, { kernel: 3, padding: 1 });
}

function reverseChannels(g: Graph, x: Value): Value {
  const planes = Array.from({ length: x.dims[1]! }, (_, channel) => slice(g, x, 1, channel, channel + 1));
  return concat(g, planes.toReversed(), 1);
}
