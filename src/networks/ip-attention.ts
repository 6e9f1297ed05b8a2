/**
 * Image tokens in the cross-attentions of a UNet (IP-Adapter, arXiv 2308.06721), in the layout of InstantID: after
 * InstantID/InstantID `ip_adapter/attention_processor.py` (`IPAttnProcessor`) and
 * `pipeline_stable_diffusion_xl_instantid.py` (`set_ip_adapter`).
 *
 * Not here: several sets of image tokens, masks, the weights of huggingface/diffusers' own layout.
 */
import { attention } from '../onnx/attention.ts';
import type { Graph } from '../onnx/graph.ts';
import { linear } from '../onnx/layers.ts';
import { multiply, reshape } from '../onnx/ops.ts';
import { type NetworkWeights, openWeights } from '../weights/scope.ts';
import type { Conditioning } from './unet-blocks.ts';
import type { UnetBlock, UnetConfig } from './unet-config.ts';

export interface ImageTokens {
  /** `<n>.to_k_ip.weight` and `<n>.to_v_ip.weight`, also below `ip_adapter` and beside the resampler's `image_proj`. */
  weights: NetworkWeights;
  /** Tokens for each row of the batch. */
  length: number;
}

/** @param file InstantID's `ip-adapter.bin`, or its part `ip_adapter` */
export async function openImageTokens(file: string, length: number): Promise<ImageTokens> {
  return { weights: await openWeights([file]), length };
}

/**
 * Adds the inputs `image_prompt_embeds` (float32 [B, length, contextWidth]: tokens after the resampler) and
 * `ip_adapter_scale` (float32 [1]). The scale is an input because users tune it from picture to picture: it multiplies
 * the few value rows of the image tokens, which costs nothing, and another value needs no other session.
 */
export function imageAttention(
  g: Graph,
  config: UnetConfig,
  { weights, length }: ImageTokens,
  batch: number,
): NonNullable<Conditioning['besideContext']> {
  const embeds = g.input('image_prompt_embeds', 'float32', [batch, length, config.contextWidth]);
  const tokens = reshape(g, embeds, [batch * length, config.contextWidth]);
  const scale = g.input('ip_adapter_scale', 'float32', [1]);
  const numbers = crossAttentionNumbers(config);
  const root = [...weights.names()].some((name) => name.startsWith('ip_adapter.')) ? weights.at('ip_adapter') : weights;
  return (query, heads, layer) => {
    const own = root.at(String(numbers.get(layer.path)));
    const width = query.dims[1]!;
    const key = linear(g, own.at('to_k_ip'), tokens, width, { bias: false });
    const value = multiply(g, linear(g, own.at('to_v_ip'), tokens, width, { bias: false }), scale);
    return attention(g, query, key, value, { batch, heads });
  };
}

/** The resampler is a network of its own. */
export function isResamplerName(name: string): boolean {
  return name.startsWith('image_proj.');
}

/**
 * The reference numbers all attentions as its class lists them: down, up and then the middle, in each block the
 * self-attention before the cross-attention.
 */
function crossAttentionNumbers({ down, up, middle }: UnetConfig): ReadonlyMap<string, number> {
  const blocks: [string, UnetBlock][] = [
    ...down.map((block, index): [string, UnetBlock] => [`down_blocks.${index}`, block]),
    ...up.map((block, index): [string, UnetBlock] => [`up_blocks.${index}`, block]),
    ['mid_block', middle],
  ];
  const numbers = new Map<string, number>();
  for (const [path, { depths }] of blocks) {
    depths.forEach((depth, layer) => {
      for (let index = 0; index < (depth ?? 0); index++) {
        numbers.set(`${path}.attentions.${layer}.transformer_blocks.${index}.attn2`, 2 * numbers.size + 1);
      }
    });
  }
  return numbers;
}
