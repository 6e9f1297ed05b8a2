/** What the mini repositories consist of: configurations, and weights that are made up for a network. */
import { randomUUID } from 'node:crypto';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inventedMetadata, inventWeights, type Spread } from './random-weights.ts';
import type { NetworkWeights } from './scope.ts';
import { type TensorToWrite, writeSafetensors } from './write-safetensors.ts';

export interface MiniFile {
  /** Inside the repository, as published. */
  path: string;
  /** Everything that its bytes depend on, as JSON. */
  recipe: unknown;
  /** Puts the whole file in its place at once: two processes may do the same. */
  write(path: string, seed: string): Promise<void>;
}

/** By the name on the hub of the repository that each one stands in for. */
export type MiniRepositories = Readonly<Record<string, readonly MiniFile[]>>;

/** A network whose weights are made up. */
export interface MiniNetwork {
  /** Sizes and options; part of the recipe. */
  config: unknown;
  /** Builds the network's graph over the weights, of any shape. */
  build(weights: NetworkWeights): void;
  /** What a tensor is called in the file; its own name unless given. */
  rename?(name: string): string;
  /** For tensors that `inventWeights` would spread unsuitably. */
  spread?(name: string, shape: readonly number[]): Spread | undefined;
}

/** `config.json` and weights in one folder; the folder's name is empty for the repository itself. */
export function networkFolder(
  folder: string,
  stem: string,
  json: Readonly<Record<string, unknown>>,
  network: MiniNetwork,
): MiniFile[] {
  // The configuration first: weights that are there say that the network is complete.
  return [jsonFile(join(folder, 'config.json'), json), weightsFile(join(folder, `${stem}.safetensors`), [network])];
}

export function jsonFile(path: string, content: Readonly<Record<string, unknown>>): MiniFile {
  return {
    path,
    recipe: content,
    write: (destination) => writeWhole(destination, `${JSON.stringify(content, null, 2)}\n`),
  };
}

export async function writeWhole(destination: string, content: string | Uint8Array): Promise<void> {
  const temporary = `${destination}.${randomUUID()}.part`;
  await writeFile(temporary, content);
  await rename(temporary, destination);
}

/**
 * One or more networks in a file. What is written is always safetensors, whatever the path ends in: weight files are
 * recognised by their content (`weight-formats.ts`).
 */
export function weightsFile(path: string, networks: readonly MiniNetwork[]): MiniFile {
  return {
    path,
    recipe: networks.map(({ config }) => config),
    async write(destination, seed) {
      const tensors = new Map<string, TensorToWrite>();
      for (const { build, rename: named = (name: string) => name, spread } of networks) {
        const invented = inventWeights(spread);
        build(invented.weights);
        for (const [name, tensor] of invented.tensors(seed)) tensors.set(named(name), tensor);
      }
      await writeSafetensors(destination, tensors, inventedMetadata(seed));
    },
  };
}
