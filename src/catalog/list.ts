import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { SettingsError } from '../base/errors.ts';
import type { ModelDefinition } from './model.ts';

const builtIn = fileURLToPath(new URL('../models/', import.meta.url));

/**
 * Loads every model file of the built-in folder and of the given ones. A file registers a model by being there.
 *
 * @throws SettingsError naming the file, when one cannot be loaded or does not export a model
 */
export async function loadModels(folders: readonly string[] = []): Promise<ModelDefinition[]> {
  const models: ModelDefinition[] = [];
  for (const folder of [builtIn, ...folders]) {
    for (const file of await modelFiles(folder)) {
      const model = await loadModel(join(folder, file));
      const twin = models.find((other) => slug(other) === slug(model) || other.version === model.version);
      if (twin) throw new SettingsError(`${join(folder, file)} repeats the name or the version of ${slug(twin)}.`);
      models.push(model);
    }
  }
  return models;
}

/** `owner/name`. */
export function slug(model: Pick<ModelDefinition, 'owner' | 'name'>): string {
  return `${model.owner}/${model.name}`;
}

async function modelFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    throw new SettingsError(`The model folder ${folder} cannot be read (${error.code}).`);
  });
  return entries.filter((entry) => /(?<!\.test|\.d)\.[jt]s$/.test(entry)).sort();
}

async function loadModel(path: string): Promise<ModelDefinition> {
  const module = await import(pathToFileURL(path).href).catch((error: unknown) => {
    throw new SettingsError(
      `The model file ${path} cannot be loaded: ${error instanceof Error ? error.message : error}`,
    );
  });
  const fault = faultOf(module.default);
  if (fault) throw new SettingsError(`${path} does not export a model: ${fault}.`);
  return module.default;
}

/** What a model file lacks, in words; `undefined` when its default export is a model. */
function faultOf(model: Partial<ModelDefinition> | undefined): string | undefined {
  if (!model || typeof model !== 'object') return 'it has no default export';
  for (const name of ['owner', 'name', 'description', 'createdAt'] as const) {
    if (typeof model[name] !== 'string' || model[name] === '') return `"${name}" must be a text`;
  }
  if (!/^[0-9a-f]{64}$/.test(model.version ?? '')) return '"version" must be 64 hex digits';
  if (!model.inputs || typeof model.inputs !== 'object') return '"inputs" must be a record of fields';
  if (model.output !== 'file' && model.output !== 'file-list') return '"output" must be file or file-list';
  if (!Array.isArray(model.weights)) return '"weights" must be a list';
  if (typeof model.predict !== 'function') return '"predict" must be a function';
  return undefined;
}
