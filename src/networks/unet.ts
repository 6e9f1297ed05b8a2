/**
 * The UNet of Stable Diffusion 1.5 (arXiv 2112.10752) and SDXL (arXiv 2307.01952), after huggingface/diffusers v0.24.0
 * `models/unet_2d_condition.py`. Layout and sizes come from weights and configuration.
 *
 * Not here: class embeddings, other added embeddings than SDXL's, attention masks, FreeU.
 */
import { createGraph, type Graph, type Value } from '../onnx/graph.ts';
import { conv2d } from '../onnx/layers.ts';
import { declareScales } from '../onnx/low-rank.ts';
import type { Network, OnnxModel } from '../onnx/model.ts';
import { reshape, silu } from '../onnx/ops.ts';
import { writeModel } from '../onnx/write.ts';
import { type LoraFile, loraPath, openLoras, withLoras } from '../weights/lora.ts';
import { openNetworkFiles } from '../weights/network-files.ts';
import type { NetworkWeights, Weights } from '../weights/scope.ts';
import { type ControlnetUse, conditionDims, controlnet, openControlnet, withControl } from './controlnet.ts';
import { type ImageTokens, imageAttention, isResamplerName, openImageTokens } from './ip-attention.ts';
import { type Conditioning, decoder, type Encoded, encoder, normalize } from './unet-blocks.ts';
import { type UnetConfig, unetConfig } from './unet-config.ts';
import { addedInputs, timeEmbedding } from './unet-time.ts';

export interface UnetShape {
  batch: number;
  /** Of the latents: an eighth of the picture's. */
  height: number;
  width: number;
  /** Tokens of the text. */
  textLength: number;
  /** Values of `timestep`; one for the whole batch unless given. */
  timesteps?: number;
}

export interface Unet {
  config: UnetConfig;
  /** With LoRAs where `withLoras` has put them. */
  weights: NetworkWeights;
}

/** What steers a UNet from within its graph. */
export interface UnetExtras {
  controlnets?: readonly ControlnetUse[];
  imageTokens?: ImageTokens;
}

export interface UnetExtraFiles {
  controlnets?: readonly (Pick<ControlnetUse, 'conditionBatch' | 'contextLength'> & {
    /** Holds `config.json` and `diffusion_pytorch_model.safetensors`. */
    folder: string;
  })[];
  imageTokens?: { file: string; length: number };
  /** Files of any layout; the parts for other networks are passed over. */
  loras?: readonly LoraFile[];
}

/**
 * Float32: `sample` [B, 4, H, W], `timestep` [1], `encoder_hidden_states` [B, T, width], for SDXL `text_embeds`
 * [B, 1280] and `time_ids` [B, 6] → `sample` [B, 4, H, W].
 *
 * For each ControlNet: `controlnet_cond.<i>` [conditionBatch, 3, 8H, 8W], `conditioning_scale.<i>` [1] and, where it has
 * a context of its own, `controlnet_encoder_hidden_states.<i>` [B, contextLength, width]. For image tokens:
 * `image_prompt_embeds` [B, length, width], `ip_adapter_scale` [1]. For each LoRA: `lora_scale.<i>` [1]. Scales are
 * inputs, so that one session serves all of them.
 *
 * @param folder holds `config.json` and `diffusion_pytorch_model.safetensors`: `<repository>/unet`
 */
export function unetNetwork(folder: string, shape: UnetShape, extras: UnetExtraFiles = {}): Network {
  const { controlnets = [], imageTokens, loras = [] } = extras;
  const parts = [
    `unet, batch ${shape.batch}, ${shape.width}×${shape.height}, ${shape.textLength} tokens, of ${folder}`,
    ...controlnets.map(
      ({ folder: control, conditionBatch, contextLength }) =>
        `controlnet batch ${conditionBatch}${contextLength ? ` with ${contextLength} tokens` : ''} of ${control}`,
    ),
    ...(imageTokens ? [`${imageTokens.length} image tokens of ${imageTokens.file}`] : []),
    ...loras.map((file) => `lora of ${loraPath(file)}`),
  ];
  return {
    key: parts.join(', '),
    async build() {
      const { config, weights } = await openUnet(folder);
      return unetModel({ config, weights: withLoras(weights, await openLoras(loras, 'unet')) }, shape, {
        controlnets: await Promise.all(
          controlnets.map(async (use) => ({ ...use, ...(await openControlnet(use.folder)) })),
        ),
        ...(imageTokens ? { imageTokens: await openImageTokens(imageTokens.file, imageTokens.length) } : {}),
      });
    },
  };
}

export async function openUnet(folder: string): Promise<Unet> {
  const { config, weights } = await openNetworkFiles(folder, 'diffusion_pytorch_model');
  return { config: unetConfig(config, weights), weights };
}

export function unetModel(net: Unet, shape: UnetShape, extras: UnetExtras = {}): OnnxModel {
  const { batch, height, width, textLength } = shape;
  const { config, weights } = net;
  const g = createGraph('unet');
  const sample = g.input('sample', 'float32', [batch, config.inChannels, height, width]);
  const timestep = g.input('timestep', 'float32', [shape.timesteps ?? 1]);
  const context = contextInput(g, 'encoder_hidden_states', batch, textLength, config.contextWidth);
  const added = addedInputs(g, config, batch);
  declareScales(g, weights);
  const controls = (extras.controlnets ?? []).map((use, index) => {
    const { contextWidth } = use.config;
    const encoded = controlnet(g, use, {
      sample,
      timestep,
      context: use.contextLength
        ? contextInput(g, `controlnet_encoder_hidden_states.${index}`, batch, use.contextLength, contextWidth)
        : context,
      condition: g.input(
        `controlnet_cond.${index}`,
        'float32',
        conditionDims(use.config, { ...shape, conditionBatch: use.conditionBatch }),
      ),
      scale: g.input(`conditioning_scale.${index}`, 'float32', [1]),
      added,
    });
    use.weights.finish();
    return encoded;
  });
  const condition: Conditioning = {
    time: timeEmbedding(g, weights, config, timestep, added),
    context,
    contexts: batch,
    ...(extras.imageTokens ? { besideContext: imageAttention(g, config, extras.imageTokens, batch) } : {}),
  };
  g.output('sample', unet(g, weights, config, sample, condition, controls));
  weights.finish();
  extras.imageTokens?.weights.finish(isResamplerName);
  return writeModel(g);
}

/** [B, T, width], declared; [B*T, width], returned */
export function contextInput(g: Graph, name: string, batch: number, length: number, width: number): Value {
  return reshape(g, g.input(name, 'float32', [batch, length, width]), [batch * length, width]);
}

/**
 * [B, 4, H, W] -> [B, 4, H, W]
 *
 * @param controls added to the skips and the middle, once the way down is done
 */
export function unet(
  g: Graph,
  w: Weights,
  config: UnetConfig,
  sample: Value,
  condition: Conditioning,
  controls: readonly Encoded[],
): Value {
  const first = conv2d(g, w.at('conv_in'), sample, config.down[0]!.channels, { kernel: 3, padding: 1 });
  const encoded = controls.reduce<Encoded>(
    (sum, control) => withControl(g, sum, control),
    encoder(g, w, config, first, condition),
  );
  const hidden = decoder(g, w, config, encoded, condition);
  const normed = normalize(g, w.at('conv_norm_out'), hidden, config.norm);
  return conv2d(g, w.at('conv_out'), silu(g, normed), config.outChannels, { kernel: 3, padding: 1 });
}
