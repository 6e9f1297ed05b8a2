/**
 * Fetched LoRAs, kept on this disk by their addresses: a hundred predictions in one style fetch it once. A file appears
 * under its name only when it is whole, so that two predictions at once at worst fetch it twice.
 */
import { createHash, randomUUID } from 'node:crypto';
import type { Stats } from 'node:fs';
import { link, mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Settings } from '../base/settings.ts';
import { sizeText } from '../base/size-text.ts';
import { fetchToFile } from './fetch-url.ts';
import { takeLora } from './lora-archive.ts';
import { checkLoraUrl } from './lora-url.ts';

export interface LoraOptions {
  settings: Pick<
    Settings,
    'home' | 'fetchPrivate' | 'loraOrigins' | 'loraMaxBytes' | 'loraTimeoutMs' | 'loraCacheBytes'
  >;
  /** Name of the input that holds the address. */
  field: string;
  /** Folder of the attempt: while it exists, the file stays. */
  folder: string;
  signal: AbortSignal;
  log(line: string): void;
}

/** What lies at an address may change; after this long it is fetched again. */
const freshMs = 24 * 3_600_000;
/** Between two lines about a transfer. */
const progressMs = 2_000;

/**
 * The path of a `.safetensors` file that lies at the URL, alone or in the archive of a trainer.
 *
 * @throws InputError that names the field and says what is wrong
 */
export async function loraFile(url: string, options: LoraOptions): Promise<string> {
  const { settings, field, folder } = options;
  checkLoraUrl(url, settings.loraOrigins, field);
  const cache = join(settings.home, 'loras');
  await mkdir(cache, { recursive: true });
  const address = new URL(url);
  address.hash = '';
  const id = createHash('sha256').update(address.href).digest('hex');
  const hold = (path: string): Promise<void> => holdFor(folder, field, path);
  const fresh = await freshFile(cache, id, hold);
  if (fresh) return fresh;
  // What was fetched again is another file: engines know networks by the paths of their weights.
  const path = join(cache, `${id}-${randomUUID()}.safetensors`);
  await fetchLora(url, path, hold, options);
  await makeRoom(cache, path, settings.loraCacheBytes);
  return path;
}

async function freshFile(
  cache: string,
  id: string,
  hold: (path: string) => Promise<void>,
): Promise<string | undefined> {
  const own = (await filesOf(cache)).filter(({ path }) => basename(path).startsWith(`${id}-`) && !isPartial(path));
  const newest = own.sort((a, b) => b.mtimeMs - a.mtimeMs)[0];
  if (!newest || Date.now() - newest.mtimeMs > freshMs) return undefined;
  const { path, mtimeMs } = newest;
  try {
    await hold(path);
    // When it was fetched stays, when it was used last changes.
    await utimes(path, new Date(), new Date(mtimeMs));
    return path;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Gives the file a second name, which means that it is in use (`makeRoom`). On another file system there is none. */
async function holdFor(folder: string, field: string, path: string): Promise<void> {
  const name = join(folder, `${field}.safetensors`);
  // Of one that went away after it was held.
  await rm(name, { force: true });
  await link(path, name).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') throw error;
  });
}

function isPartial(path: string): boolean {
  return path.endsWith('.part');
}

async function fetchLora(
  url: string,
  path: string,
  hold: (path: string) => Promise<void>,
  { settings, field, signal, log }: LoraOptions,
): Promise<void> {
  const partial = `${path}.part`;
  const unpacked = `${path}.unpacked.part`;
  const startedAt = Date.now();
  let saidAt = startedAt;
  log(`Downloading the LoRA from ${new URL(url).host}.`);
  try {
    const bytes = await fetchToFile(url, partial, {
      maxBytes: settings.loraMaxBytes,
      timeoutMs: settings.loraTimeoutMs,
      allowPrivate: settings.fetchPrivate,
      kind: { accept: '*/*', sizeSetting: 'DARKROOM_LORA_MAX_BYTES', otherWay: 'upload the file (POST /v1/files)' },
      signal,
      field,
      onBytes(arrived, total) {
        if (Date.now() - saidAt < progressMs) return;
        saidAt = Date.now();
        log(`LoRA: ${sizeText(arrived)}${total ? ` of ${sizeText(total)}` : ''}.`);
      },
    });
    log(`Downloaded the LoRA in ${((Date.now() - startedAt) / 1000).toFixed(1)} s: ${sizeText(bytes)}.`);
    const taken = await takeLora(partial, unpacked, field);
    // Before others see it: whoever makes room now must find it in use.
    await hold(taken);
    await rename(taken, path);
  } finally {
    for (const left of [partial, unpacked]) await rm(left, { force: true });
  }
}

/** Removes what was used longest ago, but nothing that a prediction uses, nor the file that was just fetched. */
async function makeRoom(cache: string, newest: string, mostBytes: number): Promise<void> {
  const files = await filesOf(cache);
  // A process that was killed leaves what it had begun.
  const left = files.filter(({ path, mtimeMs }) => isPartial(path) && Date.now() - mtimeMs > freshMs);
  for (const { path } of left) await rm(path, { force: true });
  const whole = files.filter(({ path }) => !isPartial(path)).sort((a, b) => a.atimeMs - b.atimeMs);
  let bytes = whole.reduce((sum, { size }) => sum + size, 0);
  for (const { path, size, nlink } of whole) {
    if (bytes <= mostBytes) return;
    if (nlink > 1 || path === newest) continue;
    if (await removeUnlessHeld(path)) bytes -= size;
  }
}

/** Somebody may come for the file while it goes: under another name it is found no more, and whoever holds it is seen. */
async function removeUnlessHeld(path: string): Promise<boolean> {
  const going = `${path}.${randomUUID()}.part`;
  try {
    await rename(path, going);
  } catch (error) {
    // Another prediction was making room too.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return true;
    throw error;
  }
  const held = (await stat(going)).nlink > 1;
  await (held ? rename(going, path) : rm(going));
  return !held;
}

interface CachedFile extends Pick<Stats, 'size' | 'nlink' | 'atimeMs' | 'mtimeMs'> {
  path: string;
}

async function filesOf(cache: string): Promise<CachedFile[]> {
  const files: CachedFile[] = [];
  for (const name of await readdir(cache)) {
    const path = join(cache, name);
    const found = await stat(path).catch(() => undefined);
    if (found)
      files.push({ path, size: found.size, nlink: found.nlink, atimeMs: found.atimeMs, mtimeMs: found.mtimeMs });
  }
  return files;
}
