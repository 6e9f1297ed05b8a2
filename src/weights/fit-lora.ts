/**
 * What a base model takes of somebody's LoRA. As ComfyUI does, tensors that belong nowhere are passed over with a line in
 * the log (comfy/lora.py `load_lora` at ae77590b); unlike there a LoRA of which nothing fits is an error, and so is a
 * DoRA, of which the half that is understood would make another picture.
 */
import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError, WeightError } from '../base/errors.ts';
import { entriesPerLevel, type LoraFile, loraTensors, openLoras, otherKindOf } from './lora.ts';
import { diffusersLayer, type LoraName, type LoraTarget, parseLoraName } from './lora-names.ts';
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
  const kind = otherKindOf(
    [...tensors.keys()].filter((name) => name.endsWith('.dora_scale') || /magnitude_vector/.test(name)),
  );
  if (kind) throw new WeightError(kind);
  return tensors;
}

/** Shapes of the layers that take additions, by the names of `lora-names.ts`. */
interface Layers {
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
      return [target, { shapes: shapesOf(weights), perLevel: entriesPerLevel(weights) }] as const;
    }),
  );
  return new Map(opened);
}

function shapesOf(weights: NetworkWeights): ReadonlyMap<string, readonly number[]> {
  const shapes = new Map<string, readonly number[]>();
  for (const name of weights.names()) {
    const shape = weights.shape(name);
    const isTable = /(?:token|position)_embedding\.weight$/.test(name);
    if (!name.endsWith('.weight') || shape.length < 2 || isTable) continue;
    shapes.set(name.slice(0, -'.weight'.length).replaceAll('.', '_'), shape);
  }
  return shapes;
}

type Found = Partial<Record<LoraName['part'], TensorRef>>;

function namesWithoutUse(
  tensors: ReadonlyMap<string, TensorRef>,
  layers: ReadonlyMap<LoraTarget, Layers>,
): ReadonlySet<string> {
  const passedOver = new Set<string>();
  const found = new Map<string, { shape: readonly number[]; parts: Found; names: string[] }>();
  for (const [name, tensor] of tensors) {
    const parsed = parseLoraName(name);
    const network = parsed && layers.get(parsed.target);
    const layer = network && diffusersLayer(parsed.layer, network.perLevel);
    const shape = layer && network.shapes.get(layer);
    const key = `${parsed?.target} ${layer}`;
    const known = found.get(key);
    if (!shape || known?.parts[parsed.part]) {
      passedOver.add(name);
      continue;
    }
    const { parts, names } = known ?? { parts: {}, names: [] };
    found.set(key, { shape, parts: { ...parts, [parsed.part]: tensor }, names: [...names, name] });
  }
  for (const { shape, parts, names } of found.values()) {
    if (!fits(parts, shape)) for (const name of names) passedOver.add(name);
  }
  return passedOver;
}

/** As the additions of `onnx/low-rank.ts` want them. */
function fits({ down, middle, up }: Found, [channels, inChannels, kernel = 1]: readonly number[]): boolean {
  if (!down || !up) return false;
  const rank = down.shape[0]!;
  const has = (tensor: TensorRef, shape: readonly (number | undefined)[]): boolean =>
    isFloat(tensor) && significant(tensor.shape) === significant(shape);
  if (!(rank > 0) || !has(up, [channels, rank])) return false;
  if (!middle) return has(down, [rank, inChannels, kernel, kernel]);
  return has(down, [rank, inChannels]) && has(middle, [rank, rank, kernel, kernel]);
}

/** Without axes of length one at the end. */
function significant(shape: readonly (number | undefined)[]): string {
  return shape.join(', ').replace(/(, 1)*$/, '');
}

function isFloat({ dtype }: TensorRef): boolean {
  return ['F16', 'BF16', 'F32'].includes(dtype);
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
