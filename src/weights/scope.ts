import { WeightError } from '../base/errors.ts';
import { type Component, splitCheckpoint } from './checkpoint.ts';
import type { ScaledChange } from './lora-change.ts';
import type { TensorRef } from './safetensors.ts';
import { readWeightFile } from './weight-formats.ts';

/** Tensors reached by the names of the checkpoint, level by level. */
export interface Weights {
  /** What all names here begin with, without the last dot; empty for the whole. */
  readonly path: string;
  /** The names below `path`: `at('down_blocks.0').tensor('x')` is `down_blocks.0.x`. */
  at(path: string): Weights;
  has(name: string): boolean;
  /** For sizes that are read off the weights; does not count as use. @throws WeightError when there is none */
  shape(name: string): readonly number[];
  /**
   * Uses a tensor. A missing one is noted for `finish`, so that all missing ones are reported together.
   * @throws WeightError when it has another shape, or was used before
   */
  tensor(name: string, shape: readonly number[]): TensorRef;
  /** What LoRAs make of a tensor of this layer, one after another. @throws WeightError when one does not fit */
  changes?(tensor: 'weight' | 'bias'): readonly ScaledChange[];
}

/** All tensors of a network. */
export interface NetworkWeights extends Weights {
  /** Graph inputs that changes name; a graph has to declare all of them. */
  readonly scales?: readonly string[];
  /** Of all tensors. */
  names(): Iterable<string>;
  /**
   * Every tensor has to be used exactly once.
   *
   * @param isLeftover names the tensors that are known to have no use in this network
   * @throws WeightError with the missing and the unused ones
   */
  finish(isLeftover?: (name: string) => boolean): void;
}

/**
 * Opens the weights of one network, which one file or several together hold, in any format.
 *
 * @param component which one, for files that hold several networks in the layout of their training code
 * @throws WeightError
 */
export async function openWeights(paths: readonly string[], component?: Component): Promise<NetworkWeights> {
  const all = new Map<string, TensorRef>();
  for (const path of paths) {
    for (const [name, tensor] of await readWeightFile(path)) {
      if (all.has(name)) throw new WeightError(`The weight files ${paths.join(', ')} hold "${name}" twice.`);
      all.set(name, tensor);
    }
  }
  const source = paths.join(', ');
  const components = component && splitCheckpoint(all, source);
  if (!components) return weightsOf(all, source);
  const own = components[component];
  if (own) return weightsOf(own, source);
  throw new WeightError(`The checkpoint ${source} has no ${component}, only ${Object.keys(components).join(', ')}.`);
}

/** @param source the file, for messages */
export function weightsOf(tensors: ReadonlyMap<string, TensorRef>, source: string): NetworkWeights {
  const used = new Set<string>();
  const missing = new Set<string>();

  const find = (name: string): TensorRef => {
    const found = tensors.get(name);
    if (!found) throw new WeightError(`The weight file ${source} has no tensor "${name}". ${remedy}`);
    return found;
  };

  const use = (name: string, shape: readonly number[]): TensorRef => {
    if (used.has(name)) throw new WeightError(`The network uses the tensor "${name}" of ${source} twice.`);
    used.add(name);
    const found = tensors.get(name);
    if (!found) {
      missing.add(name);
      return { name, file: source, offset: 0, byteLength: 0, dtype: 'F32', shape };
    }
    if (found.shape.length !== shape.length || found.shape.some((dim, axis) => dim !== shape[axis])) {
      throw new WeightError(
        `The tensor "${name}" of ${source} has the shape [${found.shape.join(', ')}], ` +
          `the network needs [${shape.join(', ')}]. ${remedy}`,
      );
    }
    return found;
  };

  const scope = (prefix: string): Weights => ({
    path: prefix.slice(0, -1),
    at: (path) => scope(`${prefix}${path}.`),
    has: (name) => tensors.has(prefix + name),
    shape: (name) => find(prefix + name).shape,
    tensor: (name, shape) => use(prefix + name, shape),
  });

  return {
    ...scope(''),
    names: () => tensors.keys(),
    finish(isLeftover = () => false) {
      const unused = [...tensors.keys()].filter((name) => !used.has(name) && !isLeftover(name));
      if (missing.size === 0 && unused.length === 0) return;
      throw new WeightError(
        `The weight file ${source} does not fit the network. Missing: ${listOf([...missing])}. ` +
          `Without a use: ${listOf(unused)}. ${remedy}`,
      );
    },
  };
}

const remedy = 'Check that it belongs to the config.json beside it and is of the kind that the model names.';

/** The names, cut after a few dozen: a message has to stay readable. */
function listOf(names: readonly string[]): string {
  const shown = 24;
  if (names.length === 0) return 'none';
  const rest = names.length > shown ? ` and ${names.length - shown} more` : '';
  return names.slice(0, shown).join(', ') + rest;
}
