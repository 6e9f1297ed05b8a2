/**
 * The motion module of AnimateDiff (arXiv 2307.04725): attention of each pixel among the frames, after guoyww/AnimateDiff
 * at 1904a01, `animatediff/models/motion_module.py`. `motion-unet.ts` puts it behind the layers of a UNet.
 *
 * Not here: motion LoRAs, cross-attention to the text, frames beyond the stored positions, the layout of
 * huggingface/diffusers (whose own class also normalizes otherwise: over all frames where this one does each alone).
 */
import type { Graph, Value } from '../onnx/graph.ts';
import { groupNorm, layerNorm, linear } from '../onnx/layers.ts';
import { add, reshape, slice, transpose } from '../onnx/ops.ts';
import type { Weights } from '../weights/scope.ts';
import { feedForward, selfAttention } from './unet-blocks.ts';
import type { Norm } from './unet-config.ts';

export interface MotionShape {
  frames: number;
  /** That the position table has. */
  positions: number;
  norm: Norm;
}

/** `num_attention_heads` of all published configurations; no file tells it. */
const heads = 8;

/** [B*F, C, H, W] -> [B*F, C, H, W] */
export function motionModule(g: Graph, weights: Weights, x: Value, shape: MotionShape): Value {
  const { frames, positions, norm } = shape;
  const w = weights.at('temporal_transformer');
  const [pictures, channels, height, width] = x.dims as [number, number, number, number];
  const pixels = (pictures / frames) * height * width;
  const normed = groupNorm(g, w.at('norm'), x, norm.groups, 1e-6);
  // Token by token nothing depends on the order, so they stay ordered as the attention among frames wants them.
  let tokens = linear(g, w.at('proj_in'), toFrameTokens(g, normed, frames), channels);
  for (let index = 0; w.has(`transformer_blocks.${index}.ff_norm.weight`) || index === 0; index++) {
    const block = w.at(`transformer_blocks.${index}`);
    for (const attention of ['0', '1']) {
      const own = block.at(`attention_blocks.${attention}`);
      const calm = layerNorm(g, block.at(`norms.${attention}`), tokens, 1e-5);
      const placed = withPositions(g, own.at('pos_encoder'), calm, frames, positions);
      tokens = add(g, selfAttention(g, own, placed, { batch: pixels, heads }), tokens);
    }
    tokens = add(g, feedForward(g, block.at('ff'), layerNorm(g, block.at('ff_norm'), tokens, 1e-5)), tokens);
  }
  const result = linear(g, w.at('proj_out'), tokens, channels);
  return add(g, fromFrameTokens(g, result, x, frames), x);
}

/** [B*H*W*F, C] -> [B*H*W*F, C] */
function withPositions(g: Graph, w: Weights, tokens: Value, frames: number, positions: number): Value {
  const [count, channels] = tokens.dims as [number, number];
  const table = slice(g, g.weight(w.tensor('pe', [1, positions, channels])), 1, 0, frames);
  return reshape(g, add(g, reshape(g, tokens, [count / frames, frames, channels]), table), tokens.dims);
}

/** [B*F, C, H, W] -> [B*H*W*F, C] */
function toFrameTokens(g: Graph, x: Value, frames: number): Value {
  const [pictures, channels, height, width] = x.dims as [number, number, number, number];
  const apart = reshape(g, x, [pictures / frames, frames, channels, height * width]);
  return reshape(g, transpose(g, apart, [0, 3, 1, 2]), [pictures * height * width, channels]);
}

/** [B*H*W*F, C] -> [B*F, C, H, W] */
function fromFrameTokens(g: Graph, tokens: Value, like: Value, frames: number): Value {
  const [pictures, channels, height, width] = like.dims as [number, number, number, number];
  const apart = reshape(g, tokens, [pictures / frames, height * width, frames, channels]);
  return reshape(g, transpose(g, apart, [0, 2, 3, 1]), like.dims);
}
