/** The files of an input, before it is kept: the database holds references, never bytes. */
import { InputError } from '../base/errors.ts';
import type { InvalidField } from '../catalog/validate.ts';
import type { Predictions } from '../predictions/predictions.ts';
import { isDataUrl, parseDataUrl } from '../storage/data-url.ts';
import { formatFileRef } from '../storage/file-ref.ts';
import { parseFileUrl } from '../storage/file-url.ts';
import type { FileStore, StoredFile } from '../storage/files.ts';
import { endingOf, sniffMediaType } from '../storage/media-type.ts';
import { invalidInput } from './errors.ts';

export interface StoredInput {
  input: Record<string, unknown>;
  /** New files, which nothing refers to until the prediction is kept. */
  files: StoredFile[];
  /** Names of the inputs that are references now. */
  fileInputs: string[];
}

/**
 * Data URLs become stored files, URLs of this server's own files become references to them. Other URLs stay: they are
 * fetched when the prediction runs.
 *
 * @throws Problem naming every input whose file cannot be used; nothing is left in the store then
 */
export async function storeInputFiles(
  input: Record<string, unknown>,
  fileInputs: readonly string[],
  store: FileStore,
  predictions: Pick<Predictions, 'file'>,
): Promise<StoredInput> {
  const result = { ...input };
  const files: StoredFile[] = [];
  const referring: string[] = [];
  const faults: InvalidField[] = [];
  try {
    for (const name of fileInputs) {
      const value = result[name];
      if (typeof value !== 'string') continue;
      const ref = parseFileUrl(value);
      if (isDataUrl(value)) {
        const bytes = bytesOf(value, name, faults);
        if (!bytes) continue;
        const file = await store.put(`${name}${endingOf(sniffMediaType(bytes))}`, bytes);
        files.push(file);
        result[name] = formatFileRef(file);
        referring.push(name);
      } else if (ref && (await predictions.file(ref.key))?.name === ref.name) {
        result[name] = formatFileRef(ref);
        referring.push(name);
      }
    }
    if (faults.length > 0) throw invalidInput(faults);
  } catch (error) {
    await forget(files, store);
    throw error;
  }
  return { input: result, files, fileInputs: referring };
}

/** Deletes files to which no prediction refers. */
export async function forget(files: readonly StoredFile[], store: FileStore): Promise<void> {
  await Promise.allSettled(files.map(({ key }) => store.delete(key)));
}

function bytesOf(url: string, name: string, faults: InvalidField[]): Buffer | undefined {
  try {
    return parseDataUrl(url);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    faults.push({ type: 'format', field: `input.${name}`, description: `Cannot be read: ${error.message}` });
    return undefined;
  }
}
