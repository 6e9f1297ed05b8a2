/**
 * Weights made up for a network: building its graph over them notes every name and shape, and the file is then
 * written from that list. For tests, benchmarks and the mini set; such a network computes, but has learned nothing.
 */
import { sizeOf } from '../math/tensor.ts';
import type { NetworkWeights, Weights } from './scope.ts';
import { type TensorToWrite, writeSafetensors } from './write-safetensors.ts';

export interface InventedWeights {
  /** To build the graph over; the graph itself is of no use. */
  weights: NetworkWeights;
  /** The tensors that were asked for. Equal seeds give equal bytes on every machine. */
  tensors(seed: string): Map<string, TensorToWrite>;
  /** Writes them as a safetensors file. */
  write(path: string, seed: string): Promise<void>;
}

/** How the values of a tensor lie. */
export interface Spread {
  centre: number;
  deviation: number;
}

/** @param special for tensors that the usual spread does not suit; `undefined` for all others */
export function inventWeights(
  special: (name: string, shape: readonly number[]) => Spread | undefined = () => undefined,
): InventedWeights {
  const shapes = new Map<string, readonly number[]>();

  const scope = (prefix: string): Weights => ({
    path: prefix.slice(0, -1),
    at: (path) => scope(`${prefix}${path}.`),
    has: () => false,
    shape: (name) => {
      throw new Error(`The shape of "${prefix}${name}" is only known once the network has asked for it.`);
    },
    tensor: (name, shape) => {
      shapes.set(prefix + name, shape);
      return { name: prefix + name, file: '/', offset: 0, byteLength: 4 * sizeOf(shape), dtype: 'F32', shape };
    },
  });

  const tensors = (seed: string): Map<string, TensorToWrite> => {
    const made = new Map<string, TensorToWrite>();
    for (const [name, shape] of shapes) {
      const spread = special(name, shape) ?? usualSpread(name, shape);
      made.set(name, { dtype: 'F32', shape, bytes: pieces(sizeOf(shape), spread, `${seed} ${name}`) });
    }
    return made;
  };

  return {
    weights: { ...scope(''), names: () => shapes.keys(), finish() {} },
    tensors,
    write: (path, seed) => writeSafetensors(path, tensors(seed), inventedMetadata(seed)),
  };
}

/** What a file of invented weights says of itself. */
export function inventedMetadata(seed: string): Record<string, string> {
  return { format: 'pt', darkroom: `untrained, made from the seed ${seed}` };
}

const pieceLength = 1 << 20;

function* pieces(size: number, { centre, deviation }: Spread, seed: string): Iterable<Uint8Array> {
  const next = uniform(hash(seed));
  const reach = deviation * Math.sqrt(12);
  for (let rest = size; rest > 0; rest -= pieceLength) {
    const values = new Float32Array(Math.min(rest, pieceLength));
    for (let index = 0; index < values.length; index++) values[index] = centre + reach * (next() - 0.5);
    yield new Uint8Array(values.buffer);
  }
}

/** Keeps the size of activations from layer to layer, and lets no weight or bias be without effect. */
function usualSpread(name: string, shape: readonly number[]): Spread {
  if (name.endsWith('embedding.weight')) return { centre: 0, deviation: 0.02 };
  if (name.endsWith('bias') || name.endsWith('running_mean')) return { centre: 0, deviation: 0.05 };
  if (shape.length === 1) return { centre: 1, deviation: 0.1 };
  // ControlNet's condition passes eight convolutions without a norm; the gain makes up for what SiLU takes away.
  const gain = name.startsWith('controlnet_cond_embedding.') ? 2 : 1;
  return { centre: 0, deviation: gain / Math.sqrt(sizeOf(shape.slice(1))) };
}

/** Numbers from 0 to 1: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", in 32 bits. */
function uniform(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = state ^ (state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    mixed ^= mixed >>> 15;
    return (mixed >>> 0) / 2 ** 32;
  };
}

/** FNV-1a over the UTF-16 units. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  return value;
}
