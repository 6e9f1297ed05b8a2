import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { WeightError } from '../base/errors.ts';
import { type NetworkWeights, openWeights } from './scope.ts';
import { shardFiles } from './sharded.ts';
import { type SingleFilePart, singleFilePart } from './single-file.ts';

/** What a folder of a repository holds about one network. */
export interface NetworkFiles {
  /** The parsed `config.json`. */
  config: unknown;
  weights: NetworkWeights;
}

/**
 * Opens `<folder>/config.json` and `<folder>/<stem>.safetensors`, or what is there in its place; the network's part of
 * a base in one file where there is one.
 *
 * @throws WeightError when one of them is missing or damaged
 */
export async function openNetworkFiles(folder: string, stem: string): Promise<NetworkFiles> {
  const config = await readNetworkConfig(folder);
  const part = await presentPart(folder);
  if (part) return { config, weights: await openWeights([part.path], part.component) };
  const wanted = join(folder, `${stem}.safetensors`);
  return { config, weights: await openWeights([(await presentFile(wanted)) ?? wanted]) };
}

/** The parsed `<folder>/config.json`, which a base in one file may lack. @throws WeightError */
export async function readNetworkConfig(folder: string): Promise<unknown> {
  const path = join(folder, 'config.json');
  const part = await presentPart(folder);
  return part && !(await presentFile(path)) ? part.config : await readConfig(path);
}

async function presentPart(folder: string): Promise<SingleFilePart | undefined> {
  const part = singleFilePart(folder);
  const path = part && (await presentFile(part.path));
  return path === undefined ? undefined : { ...part!, path };
}

/**
 * The file, or another one of its network: split into several, of half precision, saved by PyTorch. The first that is
 * there and whole; `undefined` when none is.
 */
export async function presentFile(path: string): Promise<string | undefined> {
  for (const candidate of variantsOf(path)) {
    const found = await stat(candidate).catch(() => undefined);
    if (found?.isFile() && (await areShardsPresent(candidate))) return candidate;
  }
  return undefined;
}

/** As diffusers and transformers name them: the path itself, then what they would take in its place, the best first. */
function variantsOf(path: string): string[] {
  const plain = path
    .replace(/\.fp16(\.\w+)$/, '$1')
    .replace(/(^|[/\\])diffusion_pytorch_model\.bin$/, '$1diffusion_pytorch_model.safetensors')
    .replace(/(^|[/\\])pytorch_model\.bin$/, '$1model.safetensors');
  if (!plain.endsWith('.safetensors')) return [path];
  const stem = plain.slice(0, -'.safetensors'.length);
  const pickled = stem.replace(/(^|[/\\])model$/, '$1pytorch_model');
  return [
    path,
    plain,
    `${plain}.index.json`,
    `${stem}.fp16.safetensors`,
    `${plain}.index.fp16.json`,
    `${pickled}.bin`,
    `${pickled}.bin.index.json`,
    `${pickled}.fp16.bin`,
  ];
}

async function areShardsPresent(path: string): Promise<boolean> {
  if (!/\.index(\.fp16)?\.json$/.test(path)) return true;
  const shards = await shardFiles(path).catch(() => []);
  const found = await Promise.all(shards.map((shard) => stat(shard).catch(() => undefined)));
  return shards.length > 0 && found.every((shard) => shard?.isFile());
}

/** @throws WeightError */
export async function readConfig(path: string): Promise<unknown> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new WeightError(`The configuration ${path} cannot be read (${error.code}).`);
  });
  try {
    return JSON.parse(text);
  } catch {
    throw new WeightError(`The configuration ${path} is not JSON.`);
  }
}
