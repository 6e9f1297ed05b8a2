/**
 * LoRAs as changes to the layers of a network: its weight files stay as they are, and each layer that a LoRA names is
 * changed in the graph (`onnx/changed-layer.ts`).
 *
 * Not here: textual inversions, OFT, the magnitudes of PEFT's DoRA.
 */
import { WeightError } from '../base/errors.ts';
import { sizeOf } from '../math/tensor.ts';
import {
  biasDifference,
  formOf,
  type LoraPart,
  rankOf,
  type ScaledChange,
  type TensorChange,
  tensorsOf,
} from './lora-change.ts';
import { magnitudesFit, misfitOf } from './lora-misfit.ts';
import { diffusersLayer, type LoraTarget, parseLoraName } from './lora-names.ts';
import { readTensor } from './read-tensor.ts';
import type { TensorRef } from './safetensors.ts';
import type { NetworkWeights, Weights } from './scope.ts';
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

/** What becomes of a layer's tensors. */
export type LoraLayer = Readonly<Partial<Record<ChangedTensor, TensorChange>>>;
type ChangedTensor = 'weight' | 'bias';

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

type Found = Partial<Record<LoraPart, TensorRef>>;

/**
 * @param tensors of the whole LoRA; those of other networks are passed over
 * @param source the file, for messages
 */
export async function loraLayers(
  tensors: ReadonlyMap<string, TensorRef>,
  source: string,
  target: LoraTarget,
): Promise<ReadonlyMap<string, LoraLayer>> {
  if (tensors.size === 0) throw new WeightError(`The LoRA ${source} is empty: it holds no tensor.`);
  const found = new Map<string, Found>();
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
  for (const [layer, parts] of found) layers.set(layer, await changesOf(parts, source));
  return layers;
}

/** PhotoMaker's file holds its identity encoder beside the LoRA. */
export function loraTensors(tensors: ReadonlyMap<string, TensorRef>): ReadonlyMap<string, TensorRef> {
  const prefix = 'lora_weights.';
  const own = [...tensors].filter(([name]) => name.startsWith(prefix));
  return own.length === 0 ? tensors : new Map(own.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

async function changesOf(parts: Found, source: string): Promise<LoraLayer> {
  const { alpha, dora_scale: magnitudes } = parts;
  const form = formOf(parts);
  const difference = biasDifference(parts);
  const isDora = magnitudes && form && form.kind !== 'difference';
  const used = [...(form ? tensorsOf(form) : []), difference, alpha, ...(isDora ? [magnitudes] : [])];
  const unused = Object.values(parts).filter((tensor) => !used.includes(tensor));
  if (unused.length > 0 || !(form || difference)) {
    const names = (unused.length > 0 ? unused : Object.values(parts)).map(({ name }) => `"${name}"`).join(', ');
    throw new WeightError(`The LoRA ${source} has ${names} without what belongs to it.`);
  }
  const rank = form && rankOf(form);
  const factor = alpha && rank ? (await scalar(alpha)) / rank : 1;
  return {
    ...(form && { weight: { form, factor, ...(isDora && { magnitudes }) } }),
    ...(difference && { bias: { form: { kind: 'difference', difference }, factor: 1 } }),
  };
}

async function scalar(tensor: TensorRef): Promise<number> {
  // Of a tensor that is not one number nothing is read: it may be large.
  const value = sizeOf(tensor.shape) === 1 ? Number((await readTensor(tensor)).data[0]) : Number.NaN;
  if (Number.isFinite(value)) return value;
  throw new WeightError(`The tensor "${tensor.name}" of ${tensor.file} is not a single number.`);
}

/**
 * The weights with the LoRAs beside them: layers built over these change them, each by as much as the graph's input
 * `lora_scale.<i>` (float32 [1]) says. `finish` throws when a LoRA is for a layer that the network does not have.
 */
export function withLoras(weights: NetworkWeights, loras: readonly Lora[]): NetworkWeights {
  if (loras.length === 0) return weights;
  const perLevel = entriesPerLevel(weights);
  const open = loras.map(({ layers, source }, index) => ({
    source,
    scale: `lora_scale.${index}`,
    layers: inDiffusersLayout(layers, perLevel),
    used: new Set<string>(),
  }));

  const changes = (w: Weights, tensor: ChangedTensor): ScaledChange[] =>
    open.flatMap(({ layers, used, scale }) => {
      const layer = w.path.replaceAll('.', '_');
      const change = layers.get(layer)?.[tensor];
      if (!change) return [];
      used.add(`${layer}.${tensor}`);
      demandFit(change, w, tensor);
      return [{ ...change, scale }];
    });

  const scope = (w: Weights): Weights => ({
    ...w,
    at: (path) => scope(w.at(path)),
    changes: (tensor) => changes(w, tensor),
  });

  return {
    ...scope(weights),
    scales: open.map(({ scale }) => scale),
    names: weights.names,
    finish(isLeftover = () => false) {
      weights.finish(isLeftover);
      // Layers that this graph leaves out may have a LoRA: the last of a text encoder of which an earlier one is used.
      const left = new Set([...weights.names()].filter(isLeftover).map(underscored));
      for (const { layers, used, source } of open) {
        const unused: string[] = [];
        for (const [layer, found] of layers) {
          for (const tensor of ['weight', 'bias'] as const) {
            const [change, key] = [found[tensor], `${layer}.${tensor}`];
            if (change && !used.has(key) && !left.has(key)) unused.push(tensorsOf(change.form)[0]!.name);
          }
        }
        if (unused.length > 0) throw unmatched(source, unused);
      }
    },
  };
}

/** A file may name a layer's weights in one layout and its bias in the other. */
function inDiffusersLayout(layers: Lora['layers'], perLevel: number): ReadonlyMap<string, LoraLayer> {
  const renamed = new Map<string, LoraLayer>();
  for (const [layer, changes] of layers) {
    const name = diffusersLayer(layer, perLevel);
    renamed.set(name, { ...renamed.get(name), ...changes });
  }
  return renamed;
}

function demandFit({ form, magnitudes }: TensorChange, w: Weights, name: ChangedTensor): void {
  const shape = w.shape(name);
  const misfit =
    misfitOf(form, shape) ??
    (magnitudes && !magnitudesFit(magnitudes, shape)
      ? { tensor: magnitudes, problem: `has the shape [${magnitudes.shape.join(', ')}]` }
      : undefined);
  if (!misfit) return;
  throw new WeightError(
    `The tensor "${misfit.tensor.name}" of the LoRA ${misfit.tensor.file} does not fit the layer "${w.path}": it ` +
      `${misfit.problem}. Was the LoRA trained for another base model? SD 1.5 and SDXL do not fit each other.`,
  );
}

/** `down_blocks.1.conv.weight` -> `down_blocks_1_conv.weight` */
export function underscored(name: string): string {
  return name.replaceAll(/\.(?=.*\.)/g, '_');
}

/** Of the layout of training code: the resnets of a resolution and its downsampler. */
export function entriesPerLevel(weights: NetworkWeights): number {
  let resnets = 0;
  while (weights.has(`down_blocks.0.resnets.${resnets}.conv1.weight`)) resnets++;
  return resnets + 1;
}

const otherKinds: readonly (readonly [RegExp, string])[] = [
  [
    /\.lora_magnitude_vector/,
    'This is a DoRA with magnitudes as PEFT makes them (lora_magnitude_vector), which cannot be used here. Give it in the ' +
      'layout of LyCORIS, with magnitudes named dora_scale, or a LoRA that was trained without DoRA.',
  ],
  // Of LyCORIS and kohya's trainer, of PEFT.
  [
    /\.b?oft_(blocks|diag|[rRsS])\b/,
    'This is an OFT or BOFT, which turns weights where a LoRA adds to them, and cannot be used here. Give one that was ' +
      'trained as a LoRA, LoHa or LoKr.',
  ],
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
