import type { Network } from '../onnx/model.ts';

export interface UnetShape {
  batch: number;
  /** Of the latents: an eighth of the picture's. */
  height: number;
  width: number;
  /** Tokens of the text. */
  textLength: number;
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
  throw new Error(`${folder} ${shape.batch} ${controlnets.length}`);
}
