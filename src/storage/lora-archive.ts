/**
 * Takes `lora.safetensors` out of what a caller names as a LoRA: the archive of Replicate's trainer, or the file itself.
 * Nothing else of the archive touches the disk, and no name in it becomes a path.
 */
import { createReadStream, createWriteStream } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { finished, pipeline } from 'node:stream/promises';
import { extract, type Header } from 'tar-stream';
import { InputError } from '../base/errors.ts';

const wanted = 'lora.safetensors';
/** Trainers pack three files; whoever packs thousands wants something else. */
const mostEntries = 1000;

/**
 * @param path of an archive or of a `.safetensors` file, from anywhere
 * @param destination where the LoRA goes when it has to be taken out of an archive: nothing lies there yet
 * @param field name of the input, for messages
 * @returns where the LoRA is: `path` or `destination`
 * @throws InputError that says what the file is instead; nothing is left at `destination`
 */
export async function takeLora(path: string, destination: string, field: string): Promise<string> {
  const fault = (reason: string): InputError => new InputError(`${field}: ${reason}`, field);
  const kind = await kindOf(path);
  if (kind !== 'archive') {
    if (kind !== 'safetensors') {
      throw fault(`this is no LoRA but ${kind}. Give a tar archive that holds ${wanted}, or that file itself.`);
    }
    await checkHeaderLength(path, fault);
    return path;
  }
  try {
    await extractLora(path, destination, fault);
    await checkHeaderLength(destination, fault);
  } catch (error) {
    await rm(destination, { force: true });
    throw error instanceof InputError || isOfDisk(error)
      ? error
      : fault(`the archive is damaged (${(error as Error).message}).`);
  }
  return destination;
}

/** Far above those of published LoRAs; one of the format's own limit would hold up everybody while it is read. */
const longestHeader = 16 * 2 ** 20;

/** What else is wrong with a file is found when its weights are read. */
async function checkHeaderLength(path: string, fault: (reason: string) => InputError): Promise<void> {
  const handle = await open(path, 'r');
  try {
    const { buffer: start } = await handle.read(Buffer.alloc(9), 0, 9, 0);
    if (start.toString('latin1', 8) !== '{' || start.readBigUInt64LE() <= longestHeader) return;
    throw fault(`the header of ${wanted} is larger than ${longestHeader / 2 ** 20} MiB: this is no LoRA.`);
  } finally {
    await handle.close();
  }
}

async function extractLora(path: string, destination: string, fault: (reason: string) => InputError): Promise<void> {
  const archive = extract();
  const reading = pipeline(createReadStream(path), archive);
  // It fails together with the entries, which say so first.
  reading.catch(() => {});
  const names = new Set<string>();
  let count = 0;
  for await (const entry of archive) {
    if (++count > mostEntries)
      throw fault(`the archive has more than ${mostEntries} entries; give the one of a trained LoRA.`);
    const name = nameOf(entry.header, fault);
    if (names.has(name) && !name.endsWith('/')) throw fault(`the archive holds ${JSON.stringify(name)} twice.`);
    names.add(name);
    if (name === wanted) {
      const file = createWriteStream(destination, { flags: 'wx', mode: 0o600 });
      // Also where it fails: a file that is still being opened would be there again after it was removed.
      await pipeline(entry, file).finally(() => finished(file).catch(() => {}));
    } else entry.resume();
  }
  await reading;
  if (names.has(wanted)) return;
  if (names.has('unet.safetensors')) {
    throw fault(
      'the archive holds a whole trained network (unet.safetensors) and no LoRA. Train with LoRA (is_lora) and give that archive.',
    );
  }
  throw fault(`${wanted} not found in the archive. Give the one that the trainer made, as it is.`);
}

/** The entry's path in the archive, that of a folder with a slash at its end. @throws InputError for what is no plain file or folder */
function nameOf({ name, type, pax }: Header, fault: (reason: string) => InputError): string {
  const shown = JSON.stringify(name.slice(0, 100));
  if (type !== 'file' && type !== 'directory') {
    throw fault(
      `the archive holds ${shown}, which is a ${type ?? 'kind of entry that is not known'}; only files and folders are read.`,
    );
  }
  if (Object.keys(pax ?? {}).some((key) => key.startsWith('GNU.sparse.'))) {
    throw fault(`the archive holds ${shown} as a sparse file; pack it without.`);
  }
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (name.startsWith('/') || parts.includes('..') || /[\\\0]/.test(name)) {
    throw fault(`the archive holds ${shown}, a path that leads out of it.`);
  }
  return parts.join('/') + (type === 'directory' ? '/' : '');
}

type Kind = 'archive' | 'safetensors' | `a${string}` | `an${string}`;

const magics: readonly (readonly [bytes: string, kind: Kind])[] = [
  ['\x1f\x8b', 'a gzip file: archives are read uncompressed'],
  ['\x28\xb5\x2f\xfd', 'a zstd file: archives are read uncompressed'],
  ['BZh', 'a bzip2 file: archives are read uncompressed'],
  ['\xfd7zXZ', 'an xz file: archives are read uncompressed'],
  ['PK\x03\x04', 'a zip file or a PyTorch file (.pt, .ckpt), which are not read'],
  ['\x80\x02', 'a PyTorch file (.pt, .ckpt), which is not read'],
  ['<', 'a web page'],
  ['version https://git-lfs', 'a Git LFS pointer'],
];

async function kindOf(path: string): Promise<Kind> {
  const handle = await open(path, 'r');
  try {
    const { buffer: start, bytesRead } = await handle.read(Buffer.alloc(512), 0, 512, 0);
    const text = start.toString('latin1', 0, bytesRead);
    // The length of a header, and its first character. First, because the length may begin as any other file does.
    if (bytesRead > 8 && start.readUInt32LE(4) === 0 && text[8] === '{') return 'safetensors';
    if (text.slice(257, 262) === 'ustar') return 'archive';
    return magics.find(([bytes]) => text.startsWith(bytes))?.[1] ?? 'a file of another kind';
  } finally {
    await handle.close();
  }
}

/** Errors of the file system have a code and name their system call; those of archives do not. */
function isOfDisk(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error;
}
