import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { WeightError } from '../base/errors.ts';
import { type NetworkWeights, openWeights } from './scope.ts';

/** What a folder of a repository holds about one network. */
export interface NetworkFiles {
  /** The parsed `config.json`. */
  config: unknown;
  weights: NetworkWeights;
}

/**
 * Opens `<folder>/config.json` and `<folder>/<stem>.safetensors`.
 *
 * @throws WeightError when one of them is missing or damaged
 */
export async function openNetworkFiles(folder: string, stem: string): Promise<NetworkFiles> {
  const config = await readConfig(join(folder, 'config.json'));
  const wanted = join(folder, `${stem}.safetensors`);
  return { config, weights: await openWeights([(await presentFile(wanted)) ?? wanted]) };
}

/** The file, or its half-precision variant where only that one is there; `undefined` when neither is. */
export async function presentFile(path: string): Promise<string | undefined> {
  for (const candidate of [path, path.replace(/\.safetensors$/, '.fp16.safetensors')]) {
    const found = await stat(candidate).catch(() => undefined);
    if (found?.isFile()) return candidate;
  }
  return undefined;
}

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
