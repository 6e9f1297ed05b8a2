/** The files of an input, before it is kept: the database holds references, never bytes. */
import { InputError, NotFoundError } from '../base/errors.ts';
import { isLoopbackName } from '../base/loopback.ts';
import type { InvalidField } from '../catalog/validate.ts';
import { isDataUrl, parseDataUrl } from '../storage/data-url.ts';
import { type FileRef, formatFileRef, parseFileRef } from '../storage/file-ref.ts';
import { parseFileUrl } from '../storage/file-url.ts';
import type { FileStore, StoredFile } from '../storage/files.ts';
import { endingOf, isPassive, sniffMediaType, unknownMediaType } from '../storage/media-type.ts';
import { parseUploadUrl } from '../uploads/upload-url.ts';
import { invalidInput } from './errors.ts';
import type { Server } from './server.ts';

export interface StoredInput {
  input: Record<string, unknown>;
  /** New files, which nothing refers to until the prediction is kept. */
  files: StoredFile[];
  /** Names of the inputs that are references now. */
  fileInputs: string[];
}

/** Of its JSON, once its files lie in the store: lists of predictions hold a hundred of them. */
const longestInput = 256 * 1024;

/** Who names the files, and where this server was reached. */
export interface InputCaller {
  account: string;
  origin: string;
}

/**
 * Data URLs become stored files, URLs of this server's own files become references to them. Uploaded files are copied:
 * the prediction needs them no more, and they may expire. Other URLs stay: they are fetched when the prediction runs.
 *
 * @throws Problem naming every input whose file cannot be used, or an input that is too long without them; nothing is left in the store then
 */
export async function storeInputFiles(
  input: Record<string, unknown>,
  fileInputs: readonly string[],
  caller: InputCaller,
  { files: store, predictions, uploads }: Pick<Server, 'files' | 'predictions' | 'uploads'>,
): Promise<StoredInput> {
  const result = { ...input };
  const files: StoredFile[] = [];
  const referring: string[] = [];
  const faults: InvalidField[] = [];
  const refer = (name: string, ref: FileRef): void => {
    result[name] = formatFileRef(ref);
    referring.push(name);
  };
  const keep = (name: string, file: StoredFile): void => {
    files.push(file);
    refer(name, file);
  };
  try {
    for (const name of fileInputs) {
      const value = result[name];
      if (typeof value !== 'string') continue;
      // How the database names files, which no caller knows.
      if (parseFileRef(value)) {
        faults.push({ type: 'format', field: `input.${name}`, description: "Does not match format 'uri'" });
        continue;
      }
      const ref = parseFileUrl(value);
      if (isDataUrl(value)) {
        const bytes = bytesOf(value, name, faults);
        if (bytes) keep(name, await store.put(`${name}${endingOf(sniffMediaType(bytes))}`, bytes));
      } else if (ref) {
        if ((await predictions.file(ref.key))?.name === ref.name) refer(name, ref);
      } else if (parseUploadUrl(value)) {
        const copy = await copyUpload(name, await uploads.named(caller.account, value), store);
        if (copy) keep(name, copy);
        else if (isSameServer(value, caller.origin)) faults.push(missingUpload(name));
      }
    }
    if (JSON.stringify(result).length > longestInput) faults.push(tooMuch);
    if (faults.length > 0) throw invalidInput(faults);
  } catch (error) {
    await forget(files, store);
    throw error;
  }
  return { input: result, files, fileInputs: referring };
}

/** `undefined` also where the upload expires in this moment. */
async function copyUpload(
  name: string,
  upload: StoredFile | undefined,
  store: FileStore,
): Promise<StoredFile | undefined> {
  if (!upload) return undefined;
  const { key, size, sha256, contentType: said } = upload;
  const contentType = isPassive(said) ? said : unknownMediaType;
  const file = { key, name: `${name}${endingOf(contentType)}`, contentType, size, sha256 };
  return store.copy(file, file.name).catch((error: unknown) => {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  });
}

/** An address of our form at another server may be a picture there. */
function isSameServer(url: string, origin: string): boolean {
  const [given, own] = [new URL(url), new URL(origin)];
  if (given.host === own.host) return true;
  return given.port === own.port && isLoopbackName(given.hostname) && isLoopbackName(own.hostname);
}

const tooMuch: InvalidField = {
  type: 'string_lte',
  field: 'input',
  description: `What the input holds beside its files takes more than ${longestInput} characters of JSON`,
};

function missingUpload(name: string): InvalidField {
  const description = 'The uploaded file does not exist or has expired; upload it again';
  return { type: 'format', field: `input.${name}`, description };
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
