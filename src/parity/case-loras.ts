import { InputError } from '../base/errors.ts';
import { float32, type Tensor } from '../math/tensor.ts';
import { openLoras, withLoras } from '../weights/lora.ts';
import type { LoraTarget } from '../weights/lora-names.ts';
import type { NetworkWeights } from '../weights/scope.ts';
import type { CaseFiles } from './network.ts';

export interface CaseLoras {
  weights: NetworkWeights;
  /** Their scales. */
  feeds: Record<string, Tensor>;
}

/** The network's weights with the LoRAs of the case's option `loras`: a list of `{"file", "scale"}`. */
export async function withCaseLoras(
  { options, pathOf }: CaseFiles,
  weights: NetworkWeights,
  target: LoraTarget,
): Promise<CaseLoras> {
  const { loras = [] } = options;
  if (!Array.isArray(loras)) throw new InputError('Its option "loras" is not a list.');
  const feeds: Record<string, Tensor> = {};
  const files = loras.map((entry: { file?: unknown; scale?: unknown }, index) => {
    const { file, scale = 1 } = entry;
    if (typeof file !== 'string' || typeof scale !== 'number') {
      throw new InputError('Its option "loras" has an entry that is not {"file": a path, "scale": a number}.');
    }
    feeds[`lora_scale.${index}`] = float32([1], Float32Array.of(scale));
    return pathOf(file);
  });
  return { weights: withLoras(weights, await openLoras(files, target)), feeds };
}
