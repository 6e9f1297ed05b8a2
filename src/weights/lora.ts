/**
 * LoRA (arXiv 2106.09685) as additions to the layers of a network: its weight file stays as it is, and each layer that a
 * LoRA names gets a product of small matrices added in the graph (`onnx/low-rank.ts`).
 *
 * Not here: LoHa, LoKr, DoRA, whole differences, textual inversions.
 */
import { WeightError } from '../base/errors.ts';
import { diffusersLayer, type LoraName, type LoraTarget, parseLoraName } from './lora-names.ts';
import { readTensor } from './read-tensor.ts';
import type { TensorRef } from './safetensors.ts';
import type { LowRank, NetworkWeights, Weights } from './scope.ts';
import { readWeightFile } from './weight-formats.ts';

/** A file, or the part of it that a base model has layers for (`fit-lora.ts`). */
export type LoraFile = string | { path: string; passedOver: ReadonlySet<string> };

export function loraPath(file: LoraFile): string {
  return typeof file === 'string' ? file : file.path;
}

/** The part of a LoRA that is for one network. */
export interface Lora {
  /** The file, for messages. */
  source: string;
  /** By the name of the layer, see `lora-names.ts`. */
  layers: ReadonlyMap<string, LoraLayer>;
}

/** The factor is alpha over rank. */
export type LoraLayer = Omit<LowRank, 'scale'>;

/** @throws WeightError for a tensor that is not part of a LoRA of a known layout */
export async function openLoras(files: readonly LoraFile[], target: LoraTarget): Promise<Lora[]> {
  return await Promise.all(
    files.map(async (file) => {
      const source = loraPath(file);
      const all = await readWeightFile(source);
      const tensors = typeof file === 'string' ? all : without(loraTensors(all), file.passedOver);
      return { source, layers: await loraLayers(tensors, source, target) };
    }),
  );
}

function without(tensors: ReadonlyMap<string, TensorRef>, names: ReadonlySet<string>): Map<string, TensorRef> {
  return new Map([...tensors].filter(([name]) => !names.has(name)));
}

type Parts = Partial<Record<LoraName['part'], TensorRef>>;

/**
 * @param tensors of the whole LoRA; those of other networks are passed over
 * @param source the file, for messages
 */
export async function loraLayers(
  tensors: ReadonlyMap<string, TensorRef>,
  source: string,
  target: LoraTarget,
): Promise<ReadonlyMap<string, LoraLayer>> {
  const found = new Map<string, Parts>();
  const unknown: string[] = [];
  for (const [name, tensor] of loraTensors(tensors)) {
    const parsed = parseLoraName(name);
    if (!parsed) {
      unknown.push(name);
    } else if (parsed.target === target) {
      const parts = found.get(parsed.layer) ?? {};
      if (parts[parsed.part]) throw new WeightError(`The LoRA ${source} holds "${name}" twice, under two names.`);
      found.set(parsed.layer, { ...parts, [parsed.part]: tensor });
    }
  }
  if (unknown.length > 0) throw unmatched(source, unknown);
  const layers = new Map<string, LoraLayer>();
  for (const [layer, parts] of found) layers.set(layer, await lowRank(parts, layer, source));
  return layers;
}

/** PhotoMaker's file holds its identity encoder beside the LoRA. */
export function loraTensors(tensors: ReadonlyMap<string, TensorRef>): ReadonlyMap<string, TensorRef> {
  const prefix = 'lora_weights.';
  const own = [...tensors].filter(([name]) => name.startsWith(prefix));
  return own.length === 0 ? tensors : new Map(own.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

async function lowRank({ down, middle, up, alpha }: Parts, layer: string, source: string): Promise<LoraLayer> {
  if (!down || !up) throw new WeightError(`The LoRA ${source} has only one of the two matrices of "${layer}".`);
  const rank = down.shape[0]!;
  if (!(rank > 0) || up.shape[1] !== rank) {
    throw new WeightError(`The two matrices of "${layer}" in the LoRA ${source} have different ranks.`);
  }
  return { down, up, ...(middle ? { middle } : {}), factor: (alpha ? await scalar(alpha) : rank) / rank };
}

async function scalar(tensor: TensorRef): Promise<number> {
  const { data } = await readTensor(tensor);
  const value = Number(data[0]);
  if (data.length === 1 && Number.isFinite(value)) return value;
  throw new WeightError(`The tensor "${tensor.name}" of ${tensor.file} is not a single number.`);
}

/**
 * The weights with the LoRAs beside them: layers built over these add them, each times the graph's input
 * `lora_scale.<i>` (float32 [1]). `finish` throws when a LoRA is for a layer that the network does not have.
 */
export function withLoras(weights: NetworkWeights, loras: readonly Lora[]): NetworkWeights {
  if (loras.length === 0) return weights;
  const perLevel = entriesPerLevel(weights);
  const open = loras.map(({ layers, source }, index) => ({
    source,
    scale: `lora_scale.${index}`,
    layers: new Map([...layers].map(([layer, addition]) => [diffusersLayer(layer, perLevel), addition])),
    used: new Set<string>(),
  }));

  const additions = (path: string): LowRank[] => {
    const layer = path.replaceAll('.', '_');
    return open.flatMap(({ layers, used, scale }) => {
      const addition = layers.get(layer);
      if (!addition) return [];
      used.add(layer);
      return [{ ...addition, scale }];
    });
  };

  const scope = (w: Weights): Weights => ({
    ...w,
    at: (path) => scope(w.at(path)),
    get additions() {
      return additions(w.path);
    },
  });

  return {
    ...scope(weights),
    scales: open.map(({ scale }) => scale),
    names: weights.names,
    finish(isLeftover = () => false) {
      weights.finish(isLeftover);
      // Layers that this graph leaves out may have a LoRA: the last of a text encoder of which an earlier one is used.
      const left = new Set<string>();
      for (const name of weights.names()) {
        if (isLeftover(name)) left.add(name.replace(/\.weight$/, '').replaceAll('.', '_'));
      }
      for (const { layers, used, source } of open) {
        const unused = [...layers].filter(([layer]) => !used.has(layer) && !left.has(layer));
        if (unused.length === 0) continue;
        throw unmatched(
          source,
          unused.map(([, { down }]) => down.name),
        );
      }
    },
  };
}

/** Of the layout of training code: the resnets of a resolution and its downsampler. */
export function entriesPerLevel(weights: NetworkWeights): number {
  let resnets = 0;
  while (weights.has(`down_blocks.0.resnets.${resnets}.conv1.weight`)) resnets++;
  return resnets + 1;
}

const otherKinds: readonly (readonly [RegExp, string])[] = [
  [/\.hada_/, 'This is a LoHa, which cannot be used here.'],
  [/\.lokr_/, 'This is a LoKr, which cannot be used here.'],
  [/\.(dora_scale|lora_magnitude_vector)/, 'This is a DoRA, which cannot be used here.'],
  [/\.diff(_b)?$/, 'This holds whole differences beside the LoRA, which cannot be used here.'],
];

/** Says of tensors that are no LoRA what they are. */
export function otherKindOf(names: readonly string[]): string | undefined {
  return otherKinds.find(([pattern]) => names.some((name) => pattern.test(name)))?.[1];
}

function unmatched(source: string, names: readonly string[]): WeightError {
  const shown = names.slice(0, 12).join(', ') + (names.length > 12 ? ` and ${names.length - 12} more` : '');
  const hint =
    otherKindOf(names) ??
    'Check that it is a LoRA and was trained for this base model: SD 1.5 and SDXL do not fit each other.';
  return new WeightError(`The LoRA ${source} has tensors that no layer of the network takes: ${shown}. ${hint}`);
}
