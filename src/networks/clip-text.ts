import type { Network } from '../onnx/model.ts';

export interface ClipTextShape {
  /** Prompts encoded in one run. */
  batch: number;
}

/**
 * `input_ids` (int32 [B, 77]) → `last_hidden_state` (float32 [B, 77, width]).
 *
 * @param folder holds `config.json` and `model.safetensors`: `<repository>/text_encoder`
 */
export function clipTextNetwork(folder: string, shape: ClipTextShape): Network {
  throw new Error(`${folder} ${shape.batch}`);
}
