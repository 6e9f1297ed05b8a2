import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError, NotFoundError } from '../base/errors.ts';
import type { Settings } from '../base/settings.ts';
import { type Field, type Fields, isFile } from '../catalog/fields.ts';
import { isDataUrl, parseDataUrl } from '../storage/data-url.ts';
import { fetchToFile } from '../storage/fetch-url.ts';
import { parseFileRef } from '../storage/file-ref.ts';
import type { FileStore } from '../storage/files.ts';
import { takeLora } from '../storage/lora-archive.ts';
import { type LoraOptions, loraFile } from '../storage/lora-file.ts';
import type { LoraShelf } from '../storage/lora-shelf.ts';

export interface ResolveOptions {
  files: FileStore;
  /** `folder` is the holder of what it places. Where a process runs one prediction alone there is none. */
  loras?: LoraShelf;
  settings: Pick<Settings, 'fetchMaxBytes' | 'fetchTimeoutMs'> & LoraOptions['settings'];
  /** Where fetched files go; it belongs to this attempt alone. */
  folder: string;
  signal: AbortSignal;
  /** For the prediction's logs. */
  log(line: string): void;
}

/**
 * What the model sees: every field with its default filled in, files as paths on this disk.
 *
 * @throws InputError naming the field whose file cannot be had
 */
export async function resolveInput(
  fields: Fields,
  input: Record<string, unknown>,
  options: ResolveOptions,
): Promise<Record<string, unknown>> {
  const resolved: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(fields)) {
    const value = input[name] ?? defaultOf(field);
    if (value === undefined) continue;
    if (field.kind === 'lora' && value === '') continue;
    if (field.kind === 'lora') resolved[name] = await loraPath(name, String(value), options);
    else resolved[name] = isFile(field) ? await localPath(name, String(value), options) : value;
  }
  return resolved;
}

function defaultOf(field: Field): unknown {
  return 'default' in field ? field.default : undefined;
}

async function loraPath(name: string, value: string, options: ResolveOptions): Promise<string> {
  if (!parseFileRef(value) && !isDataUrl(value)) return loraFile(value, { ...options, field: name });
  const path = await localPath(name, value, options);
  const lora = await takeLora(path, join(options.folder, `${name}.safetensors`), name);
  return options.loras?.place(lora, options.folder) ?? lora;
}

async function localPath(name: string, value: string, options: ResolveOptions): Promise<string> {
  const stored = parseFileRef(value);
  if (stored) {
    return options.files.path(stored.key).catch((error: unknown) => {
      if (!(error instanceof NotFoundError)) throw error;
      throw new InputError(`${name}: the file ${stored.name} is no longer stored; send it again.`, name);
    });
  }
  const path = join(options.folder, `input-${name}`);
  if (isDataUrl(value)) {
    await writeFile(path, dataOf(name, value));
    return path;
  }
  const { fetchMaxBytes: maxBytes, fetchTimeoutMs: timeoutMs, fetchPrivate: allowPrivate } = options.settings;
  await fetchToFile(value, path, { maxBytes, timeoutMs, allowPrivate, signal: options.signal, field: name });
  return path;
}

function dataOf(name: string, value: string): Buffer {
  try {
    return parseDataUrl(value);
  } catch (error) {
    throw error instanceof InputError ? new InputError(`${name}: ${error.message}`, name) : error;
  }
}
