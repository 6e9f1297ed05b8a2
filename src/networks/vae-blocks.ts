/** What the two halves of the autoencoder share, after huggingface/diffusers v0.24.0 `models/unet_2d_blocks.py`. */
import { attention } from '../onnx/attention.ts';
import type { Graph, Value } from '../onnx/graph.ts';
import { groupNorm, linear } from '../onnx/layers.ts';
import { add, fromTokens, toTokens } from '../onnx/ops.ts';
import type { Weights } from '../weights/scope.ts';
import { resnet } from './unet-blocks.ts';
import type { Norm } from './unet-config.ts';

/** `UNetMidBlock2D`. [B, C, H, W] -> [B, C, H, W] */
export function vaeMiddle(g: Graph, w: Weights, x: Value, norm: Norm): Value {
  const channels = x.dims[1]!;
  const first = resnet(g, w.at('resnets.0'), x, channels, norm);
  const mixed = selfAttention(g, w.at('attentions.0'), first, norm);
  return resnet(g, w.at('resnets.1'), mixed, channels, norm);
}

/** One head over all pixels. [B, C, H, W] -> [B, C, H, W] */
function selfAttention(g: Graph, w: Weights, x: Value, norm: Norm): Value {
  const [batch, channels] = x.dims as [number, number];
  // The published SD 1.5 file has the names from before diffusers 0.17.
  const [query, key, value, out] = w.has('query.weight')
    ? ['query', 'key', 'value', 'proj_attn']
    : ['to_q', 'to_k', 'to_v', 'to_out.0'];
  const tokens = toTokens(g, groupNorm(g, w.at('group_norm'), x, norm.groups, norm.epsilon));
  const mixed = attention(
    g,
    linear(g, w.at(query!), tokens, channels),
    linear(g, w.at(key!), tokens, channels),
    linear(g, w.at(value!), tokens, channels),
    { batch, heads: 1 },
  );
  return add(g, fromTokens(g, linear(g, w.at(out!), mixed, channels), x), x);
}
