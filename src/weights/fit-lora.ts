/**
 * What a base model takes of somebody's LoRA. As ComfyUI does, tensors that belong nowhere are passed over with a line in
 * the log (comfy/lora.py `load_lora` at ae77590b), and so are those that do not fit their layer; unlike there a LoRA of
 * which nothing fits is an error, and so is one with magnitudes in PEFT's layout, of which the half that is understood
 * would make another picture.
 */
import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError, WeightError } from '../base/errors.ts';
import { entriesPerLevel, type LoraFile, loraTensors, openLoras, otherKindOf, underscored } from './lora.ts';
import { biasDifference, formOf, type LoraPart, tensorsOf } from './lora-change.ts';
import { magnitudesFit, misfitOf } from './lora-misfit.ts';
import { diffusersLayer, type LoraTarget, parseLoraName } from './lora-names.ts';
import { openNetworkFiles } from './network-files.ts';
import type { TensorRef } from './safetensors.ts';
import type { NetworkWeights } from './scope.ts';
import { readWeightFile } from './weight-formats.ts';

export interface FitOptions {
  /** Of a Stable Diffusion or Stable Diffusion XL in diffusers' layout. */
  base: string;
  /** The input that named the LoRA; none where it is the model's own, whose faults are those of this disk. */
  field?: string;
  log(line: string): void;
}

/**
 * The part of the LoRA that the base model's UNet and text encoders have layers for.
 *
 * @throws InputError when that is nothing, or when the file is no LoRA; WeightError when it is the model's own
 */
export async function fitLora(path: string, { base, field, log }: FitOptions): Promise<LoraFile> {
  const layers = await layersOf(base);
  try {
    const tensors = await readLora(path);
    const passedOver = namesWithoutUse(tensors, layers);
    if (passedOver.size === tensors.size) {
      throw new WeightError(`No layer of the model fits the LoRA ${path}. ${whatItIs(tensors)}`);
    }
    for (const name of [...passedOver].slice(0, mostLines)) log(`lora key not loaded: ${name}`);
    if (passedOver.size > mostLines) log(`and ${passedOver.size - mostLines} more of ${tensors.size} lora keys`);
    const fitting = { path, passedOver };
    for (const target of layers.keys()) await openLoras([fitting], target);
    return fitting;
  } catch (error) {
    if (!(error instanceof WeightError) || field === undefined) throw error;
    const reason = await withoutPath(error.message, path);
    throw new InputError(`${field}: the LoRA cannot be used. ${reason}`, field);
  }
}

/** Where a caller's file lies is nobody's business; some messages have the path behind symbolic links. */
async function withoutPath(message: string, path: string): Promise<string> {
  const real = await realpath(path).catch(() => path);
  return [real, path].reduce((text, place) => text.replaceAll(` ${place}`, ''), message);
}

/** Of lines in the log about one LoRA. */
const mostLines = 20;

async function readLora(path: string): Promise<ReadonlyMap<string, TensorRef>> {
  const tensors = loraTensors(await readWeightFile(path));
  const kind = otherKindOf([...tensors.keys()].filter((name) => name.includes('magnitude_vector')));
  if (kind) throw new WeightError(kind);
  return tensors;
}

interface Layers {
  /** Of what can be changed, by its name with underscores: `down_blocks_1_conv.weight`. */
  shapes: ReadonlyMap<string, readonly number[]>;
  perLevel: number;
}

const networks = [
  ['unet', 'unet', 'diffusion_pytorch_model'],
  ['textEncoder', 'text_encoder', 'model'],
  ['textEncoder2', 'text_encoder_2', 'model'],
] as const satisfies readonly (readonly [LoraTarget, string, string])[];

async function layersOf(base: string): Promise<ReadonlyMap<LoraTarget, Layers>> {
  const opened = await Promise.all(
    networks.map(async ([target, folder, stem]) => {
      const { weights } = await openNetworkFiles(join(base, folder), stem);
      return [target, { shapes: shapesOf(weights, target), perLevel: entriesPerLevel(weights) }] as const;
    }),
  );
  return new Map(opened);
}

/** As comfy/lora.py `model_lora_keys_unet`, `model_lora_keys_clip`: all of a UNet, of text encoders attentions and MLPs. */
function shapesOf(weights: NetworkWeights, target: LoraTarget): ReadonlyMap<string, readonly number[]> {
  const names = [...weights.names()].filter((name) => target === 'unet' || /\.(self_attn|mlp)\./.test(name));
  return new Map(names.map((name) => [underscored(name), weights.shape(name)]));
}

type Found = Partial<Record<LoraPart, TensorRef>>;

function namesWithoutUse(
  tensors: ReadonlyMap<string, TensorRef>,
  layers: ReadonlyMap<LoraTarget, Layers>,
): ReadonlySet<string> {
  const found = new Map<string, { shapes: Layers['shapes']; layer: string; parts: Found }>();
  for (const [name, tensor] of tensors) {
    const parsed = parseLoraName(name);
    const network = parsed && layers.get(parsed.target);
    if (!network) continue;
    const layer = diffusersLayer(parsed.layer, network.perLevel);
    const key = `${parsed.target} ${layer}`;
    const { parts } = found.get(key) ?? { parts: {} };
    // The first of two names of one part counts.
    found.set(key, { shapes: network.shapes, layer, parts: { [parsed.part]: tensor, ...parts } });
  }
  const used = new Set<TensorRef>();
  for (const { shapes, layer, parts } of found.values()) {
    const weight = shapes.get(`${layer}.weight`);
    const fitting = weight ? fittingTensors(parts, weight, shapes.get(`${layer}.bias`)) : [];
    for (const tensor of fitting) used.add(tensor);
  }
  return new Set([...tensors].flatMap(([name, tensor]) => (used.has(tensor) ? [] : [name])));
}

/** Of those for one layer. Where nothing but the magnitudes do not fit, the rest is used without them, as there. */
function fittingTensors(parts: Found, weight: readonly number[], bias?: readonly number[]): TensorRef[] {
  const { alpha, dora_scale: magnitudes, diff_b, w_norm } = parts;
  const fitting: TensorRef[] = [];
  const form = formOf(parts);
  if (form && !misfitOf(form, weight)) {
    fitting.push(...tensorsOf(form));
    if (alpha) fitting.push(alpha);
    if (magnitudes && form.kind !== 'difference' && magnitudesFit(magnitudes, weight)) fitting.push(magnitudes);
  }
  const difference = biasDifference(parts);
  // That of a norm is read only beside one of its weights.
  const isRead = difference && (diff_b || w_norm);
  if (isRead && bias && !misfitOf({ kind: 'difference', difference }, bias)) fitting.push(difference);
  return fitting;
}

function whatItIs(tensors: ReadonlyMap<string, TensorRef>): string {
  const names = [...tensors.keys()];
  const kind = otherKindOf(names);
  if (kind) return kind;
  if (!names.some(parseLoraName)) return 'None of its tensors is part of a LoRA of a known layout.';
  return (
    'It is a LoRA for another base model: those of Stable Diffusion 1.5, 2 and of other families do not fit ' +
    'Stable Diffusion XL. Give one that was trained for Stable Diffusion XL.'
  );
}
