import type { Network } from '../onnx/model.ts';

export interface VaeDecoderShape {
  batch: number;
  /** Of the latents: an eighth of the picture's. */
  height: number;
  width: number;
}

/**
 * `sample` (float32 [B, 4, H, W], latents already divided by the scaling factor) → `sample` (float32 [B, 3, 8H, 8W]).
 *
 * @param folder holds `config.json` and `diffusion_pytorch_model.safetensors`: `<repository>/vae`
 */
export function vaeDecoderNetwork(folder: string, shape: VaeDecoderShape): Network {
  throw new Error(`${folder} ${shape.batch}`);
}
