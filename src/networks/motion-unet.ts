/**
 * AnimateDiff's UNet (arXiv 2307.04725): that of SD 1.5 with motion modules behind its layers, after guoyww/AnimateDiff at
 * 1904a01, `animatediff/models/unet.py` and `unet_blocks.py`, `configs/inference/inference-v1.yaml` and `-v2.yaml`.
 * Frames are pictures of the batch; only motion modules, and in version 1 group norms, see several of them.
 */
import { WeightError } from '../base/errors.ts';
import { createGraph, type Value } from '../onnx/graph.ts';
import { declareScales } from '../onnx/low-rank.ts';
import type { Network, OnnxModel } from '../onnx/model.ts';
import { concat, reshape, slice, transpose } from '../onnx/ops.ts';
import { writeModel } from '../onnx/write.ts';
import { readConfig } from '../weights/network-files.ts';
import { type NetworkWeights, openWeights, type Weights } from '../weights/scope.ts';
import { motionModule } from './motion-module.ts';
import { contextInput, type Unet, type UnetShape, unet } from './unet.ts';
import { unetConfig } from './unet-config.ts';
import { timeEmbedding } from './unet-time.ts';

/** What the published files are called after `mm_sd_`. */
export const motionVersions = ['v14', 'v15', 'v15_v2'] as const;
export type MotionVersion = (typeof motionVersions)[number];

export interface MotionConfig {
  /** Group norms of the UNet's resnets take all frames as one. */
  jointNorm: boolean;
  /** The middle has a module too. */
  middle: boolean;
  /** Most frames that there are positions for. */
  positions: number;
}

export interface Motion {
  config: MotionConfig;
  weights: NetworkWeights;
}

export interface MotionUnetShape extends UnetShape {
  frames: number;
}

export interface MotionUnetFiles {
  /** The UNet's `config.json`; its sizes come from the weights. */
  config: string;
  /** Holds the UNet's weights, alone or with other networks, in any layout. */
  checkpoint: string;
  /** `mm_sd_<version>.ckpt`, or the same in another format. */
  motion: string;
  version: MotionVersion;
}

/** As `motionUnetModel`. */
export function motionUnetNetwork(files: MotionUnetFiles, shape: MotionUnetShape): Network {
  const { batch, frames, height, width, textLength } = shape;
  return {
    key:
      `motion-unet, batch ${batch}, ${frames} frames, ${width}×${height}, ${textLength} tokens, ` +
      `of ${files.checkpoint} and ${files.motion}`,
    async build() {
      const weights = await openWeights([files.checkpoint], 'unet');
      const config = unetConfig(await readConfig(files.config), weights);
      return motionUnetModel({ config, weights }, await openMotion(files.motion, files.version), shape);
    },
  };
}

/** @param file `mm_sd_<version>.ckpt`, or the same in another format */
export async function openMotion(file: string, version: MotionVersion): Promise<Motion> {
  const weights = await openWeights([file]);
  return { config: motionConfig(version, weights), weights };
}

export function motionConfig(version: MotionVersion, weights: Weights): MotionConfig {
  const first = 'down_blocks.0.motion_modules.0.temporal_transformer.transformer_blocks.0.attention_blocks.0';
  const second = version === 'v15_v2';
  return {
    jointNorm: !second,
    middle: second,
    positions: rootOf(weights).shape(`${first}.pos_encoder.pe`)[1]!,
  };
}

/**
 * Float32: `sample` [B, 4, F, H, W], `timestep` [1 or B], `encoder_hidden_states` [B, T, width] → `sample`
 * [B, 4, F, H, W].
 */
export function motionUnetModel(net: Unet, motion: Motion, shape: MotionUnetShape): OnnxModel {
  const { batch, frames, height, width, textLength } = shape;
  const { jointNorm, middle, positions } = motion.config;
  if (frames > positions) {
    throw new WeightError(`This motion module knows ${positions} frames at most; ${frames} were asked for.`);
  }
  const config = jointNorm ? { ...net.config, norm: { ...net.config.norm, frames } } : net.config;
  const { inChannels, outChannels, contextWidth, norm } = config;
  const g = createGraph('motion-unet');
  const video = g.input('sample', 'float32', [batch, inChannels, frames, height, width]);
  const timestep = g.input('timestep', 'float32', [shape.timesteps ?? 1]);
  const context = contextInput(g, 'encoder_hidden_states', batch, textLength, contextWidth);
  declareScales(g, net.weights);
  // [B, 4, F, H, W] -> [B*F, 4, H, W]
  const sample = reshape(g, transpose(g, video, [0, 2, 1, 3, 4]), [batch * frames, inChannels, height, width]);
  const time = timeEmbedding(g, net.weights, config, timestep, undefined);
  const modules = rootOf(motion.weights);
  const afterLayer = (x: Value, block: Weights, layer: number): Value =>
    block.path === 'mid_block' && !middle
      ? x
      : motionModule(g, modules.at(`${block.path}.motion_modules.${layer}`), x, { frames, positions, norm });
  const condition = { time: eachRepeated(time), context, contexts: batch, afterLayer };
  const result = unet(g, net.weights, config, sample, condition, []);
  const apart = reshape(g, result, [batch, frames, outChannels, height, width]);
  g.output('sample', transpose(g, apart, [0, 2, 1, 3, 4]));
  net.weights.finish();
  motion.weights.finish();
  return writeModel(g);

  /** A row for every frame. [B, N] -> [B*F, N] */
  function eachRepeated(x: Value): Value {
    const rows = Array.from({ length: x.dims[0]! }, (_, row) => slice(g, x, 0, row, row + 1));
    return rows.length === 1
      ? x
      : concat(
          g,
          rows.flatMap((row) => new Array<Value>(frames).fill(row)),
          0,
        );
  }
}

/** Copies of the files from training runs have a prefix before every name. */
function rootOf(weights: Weights): Weights {
  const prefix = ['module', 'state_dict.module', 'state_dict'].find((path) => weights.has(`${path}.${anyName}`));
  return prefix ? weights.at(prefix) : weights;
}

const anyName = 'down_blocks.0.motion_modules.0.temporal_transformer.norm.weight';
