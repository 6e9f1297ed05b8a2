/**
 * The UNet of Stable Diffusion 1.5 (arXiv 2112.10752), after huggingface/diffusers v0.24.0
 * `models/unet_2d_condition.py`. Sizes come from the configuration.
 *
 * Not here: added embeddings (SDXL), class embeddings, image tokens, motion modules.
 */
import { createGraph, type Graph, type Value } from '../onnx/graph.ts';
import { conv2d, groupNorm } from '../onnx/layers.ts';
import type { Network, OnnxModel } from '../onnx/model.ts';
import { add, reshape, silu } from '../onnx/ops.ts';
import { writeModel } from '../onnx/write.ts';
import { openNetworkFiles } from '../weights/network-files.ts';
import type { NetworkWeights, Weights } from '../weights/scope.ts';
import { type UnetConfig, unetConfig } from './config.ts';
import { type Controlnet, controlnet, openControlnet } from './controlnet.ts';
import { decoder, type Encoded, encoder, timeEmbedding } from './unet-blocks.ts';

export interface UnetShape {
  batch: number;
  /** Of the latents: an eighth of the picture's. */
  height: number;
  width: number;
  /** Tokens of the text. */
  textLength: number;
}

export interface Unet {
  config: UnetConfig;
  weights: NetworkWeights;
}

export interface ControlnetUse {
  /** Holds `config.json` and `diffusion_pytorch_model.safetensors`. */
  folder: string;
  scale: number;
  /** Batch of `controlnet_cond.<i>`: 1 serves every row of the batch. */
  conditionBatch: number;
}

/**
 * `sample` (float32 [B, 4, H, W]), `timestep` (float32 [1]), `encoder_hidden_states` (float32 [B, T, width]) and for
 * each ControlNet `controlnet_cond.<i>` (float32 [conditionBatch, 3, 8H, 8W]) → `sample` (float32 [B, 4, H, W]).
 *
 * @param folder holds `config.json` and `diffusion_pytorch_model.safetensors`: `<repository>/unet`
 */
export function unetNetwork(folder: string, shape: UnetShape, controlnets: readonly ControlnetUse[] = []): Network {
  const control = controlnets.map((use) => `, controlnet ×${use.scale} batch ${use.conditionBatch} of ${use.folder}`);
  const size = `batch ${shape.batch}, ${shape.width}×${shape.height}, ${shape.textLength} tokens`;
  return {
    key: `unet, ${size}, of ${folder}${control.join('')}`,
    build: async () => {
      const open = async (use: ControlnetUse): Promise<Controlnet> => ({
        ...use,
        ...(await openControlnet(use.folder)),
      });
      return unetModel(await openUnet(folder), shape, await Promise.all(controlnets.map(open)));
    },
  };
}

export async function openUnet(folder: string): Promise<Unet> {
  const { config, weights } = await openNetworkFiles(folder, 'diffusion_pytorch_model');
  return { config: unetConfig(config, weights), weights };
}

export function unetModel(net: Unet, shape: UnetShape, controlnets: readonly Controlnet[] = []): OnnxModel {
  const { batch, height, width, textLength } = shape;
  const { inChannels, contextWidth } = net.config;
  const g = createGraph('unet');
  const sample = g.input('sample', 'float32', [batch, inChannels, height, width]);
  const timestep = g.input('timestep', 'float32', [1]);
  const states = g.input('encoder_hidden_states', 'float32', [batch, textLength, contextWidth]);
  const context = reshape(g, states, [batch * textLength, contextWidth]); // [B, T, width] -> [B*T, width]
  const controls = controlnets.map((control, index) => {
    const dims = [control.conditionBatch, 3, 8 * height, 8 * width];
    const condition = g.input(`controlnet_cond.${index}`, 'float32', dims);
    return controlnet(g, control, { sample, timestep, context, condition });
  });
  g.output('sample', unet(g, net.weights, net.config, { sample, timestep, context, controls }));
  net.weights.finish();
  return writeModel(g);
}

interface UnetInputs {
  /** [B, 4, H, W] */
  sample: Value;
  /** [1] */
  timestep: Value;
  /** [B*T, contextWidth] */
  context: Value;
  /** Added to the skips and the middle, once the way down is done. */
  controls: readonly Encoded[];
}

/** [B, 4, H, W] -> [B, 4, H, W] */
function unet(g: Graph, w: Weights, config: UnetConfig, { sample, timestep, context, controls }: UnetInputs): Value {
  const condition = { time: timeEmbedding(g, w.at('time_embedding'), config, timestep), context };
  const first = conv2d(g, w.at('conv_in'), sample, config.levels[0]!.channels, { kernel: 3, padding: 1 });
  const encoded = controls.reduce<Encoded>(
    (sum, control) => ({
      skips: sum.skips.map((skip, index) => add(g, skip, control.skips[index]!)),
      middle: add(g, sum.middle, control.middle),
    }),
    encoder(g, w, config, first, condition),
  );
  const hidden = decoder(g, w, config, encoded, condition);
  const normed = groupNorm(g, w.at('conv_norm_out'), hidden, config.norm.groups, config.norm.epsilon);
  return conv2d(g, w.at('conv_out'), silu(g, normed), config.outChannels, { kernel: 3, padding: 1 });
}
