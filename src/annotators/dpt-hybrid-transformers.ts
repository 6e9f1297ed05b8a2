/**
 * DPT-hybrid as huggingface/transformers v4.36.2 `models/dpt/modeling_dpt.py` and `models/bit/modeling_bit.py` have it:
 * MiDaS' network under other names, with another epsilon in its norms.
 */
import { join } from 'node:path';
import { asOptions, refuseOthers, unsupported } from '../networks/config-options.ts';
import type { Network } from '../onnx/model.ts';
import { readConfig } from '../weights/network-files.ts';
import { type NetworkWeights, weightsOf } from '../weights/scope.ts';
import { readWeightFile } from '../weights/weight-formats.ts';
import { type DptHybrid, type DptHybridShape, dptHybridConfig, dptHybridModel } from './dpt-hybrid.ts';
import { midasName } from './dpt-hybrid-names.ts';

/**
 * As `dptHybridNetwork`.
 *
 * @param folder holds `config.json` and the weights
 * @param file of the weights
 */
export function dptHybridOfTransformers(folder: string, file: string, shape: DptHybridShape): Network {
  return {
    key: `dpt-hybrid of transformers, batch ${shape.batch}, ${shape.height} x ${shape.width}, of ${folder}`,
    async build() {
      const weights = await openUnderMidasNames(join(folder, file));
      return dptHybridModel(transformersDptHybrid(weights, await readConfig(join(folder, 'config.json'))), shape);
    },
  };
}

export async function openUnderMidasNames(path: string): Promise<NetworkWeights> {
  const tensors = await readWeightFile(path);
  return weightsOf(new Map([...tensors].map(([name, tensor]) => [midasName(name), tensor])), path);
}

/**
 * @param weights under MiDaS' names
 * @param json the library's own configuration
 */
export function transformersDptHybrid(weights: NetworkWeights, json: unknown): DptHybrid {
  const options = asOptions(json);
  refuseOthers(options, {
    is_hybrid: true,
    readout_type: 'project',
    hidden_act: 'gelu',
    qkv_bias: true,
    patch_size: 16,
    use_batch_norm_in_fusion_residual: false,
    add_projection: false,
  });
  const { num_attention_heads, layer_norm_eps = 1e-12, backbone_config, backbone_out_indices } = options;
  const { num_groups } = asOptions(backbone_config ?? {});
  const config = dptHybridConfig(weights, { num_heads: num_attention_heads, num_groups, layer_norm_eps });
  const taps = [Math.floor((config.layers * 3) / 4) - 1, config.layers - 1];
  const given = Array.isArray(backbone_out_indices) ? backbone_out_indices.slice(2) : taps;
  if (given.join() !== taps.join()) throw unsupported('backbone_out_indices', backbone_out_indices);
  return { config, weights };
}
