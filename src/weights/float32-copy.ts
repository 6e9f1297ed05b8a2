/**
 * Weights of half precision, or of eight bits, for the CPU, whose kernels compute in float32
 * (docs/decisions/half-precision-on-cpu.md): the files are converted once, on disk, and mapped from there as float32 files
 * are. Casting in the graph instead would keep a second copy of all weights in the memory of every process, for as long as
 * it runs.
 */
import { createHash, randomUUID } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { copyFile, mkdir, realpath, rename, stat, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { WeightError } from '../base/errors.ts';
import { float8sToFloats } from '../math/float8.ts';
import { bfloat16sToFloats, halvesToFloats } from '../math/float16.ts';
import { presentFile } from './network-files.ts';
import { inOwnOrder } from './read-tensor.ts';
import { readSafetensors, type TensorRef } from './safetensors.ts';
import { singleFile } from './single-file.ts';
import { weightFault } from './weight-file.ts';
import { readWeightFile } from './weight-formats.ts';
import { type TensorToWrite, writeSafetensors } from './write-safetensors.ts';

/**
 * A folder with the same files, those of half precision in float32: below `cache`, written at the first call and again
 * when a file has changed. The folder itself when none of the files is of half precision.
 *
 * @param files relative to `folder`; what is no weight file is linked, and the `config.json` beside one copied
 * @param onConvert told before each file that is converted, for a log
 */
export async function float32Folder(
  folder: string,
  files: readonly string[],
  cache: string,
  onConvert: (file: string) => void = () => {},
): Promise<string> {
  const sources = await Promise.all(
    files.map(async (file): Promise<Source> => {
      const path = (await presentFile(join(folder, file))) ?? join(folder, file);
      return { file, path, isHalf: await isHalfPrecision(path) };
    }),
  );
  if (!sources.some(({ isHalf }) => isHalf)) return folder;
  // A base in one file has a copy of its own: where one lies, it stands for all networks, also long after it was replaced.
  const name = join(await realpath(folder), files.includes(singleFile) ? singleFile : '.');
  const copy = join(cache, createHash('sha256').update(name).digest('hex').slice(0, 16));
  for (const source of sources) {
    try {
      await put(source, join(copy, source.file), onConvert);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === undefined) throw error;
      throw new WeightError(
        `The weight file ${source.path} could not be converted to float32 in ${copy} (${code}). That takes twice the ` +
          'size of the file, of eight bits four times: make room there, or use weights in float32.',
        { cause: error },
      );
    }
  }
  return copy;
}

interface Source {
  file: string;
  path: string;
  isHalf: boolean;
}

async function put(
  { file, path, isHalf }: Source,
  destination: string,
  onConvert: (file: string) => void,
): Promise<void> {
  await mkdir(dirname(destination), { recursive: true });
  if (isHalf) await convert(path, destination, () => onConvert(file));
  else await placeLink(path, destination);
  const config = join(dirname(path), 'config.json');
  if (path !== config && (await exists(config)))
    await place(join(dirname(destination), 'config.json'), (part) => copyFile(config, part));
}

type Tensors = ReadonlyMap<string, TensorRef>;

/** Answers by path, size and time of files that were looked at before. */
const answers = new Map<string, boolean>();

async function isHalfPrecision(path: string): Promise<boolean> {
  if (!/\.(safetensors|bin|ckpt|pth|pt|index(\.fp16)?\.json)$/.test(path)) return false;
  const { size, mtimeMs } = await stat(path);
  const file = `${path} ${size} ${mtimeMs}`;
  let answer = answers.get(file);
  if (answer === undefined) {
    const tensors = await readWeightFile(path);
    answer = [...tensors.values()].some(({ dtype }) => dtype in readers);
    answers.set(file, answer);
  }
  return answer;
}

/** Of types that are narrower than float32, and a tensor's bytes row by row. */
const readers: Readonly<Record<string, (bytes: Uint8Array<ArrayBuffer>) => Float32Array<ArrayBuffer>>> = {
  F16: ({ buffer }) => halvesToFloats(new Uint16Array(buffer)),
  BF16: ({ buffer }) => bfloat16sToFloats(new Uint16Array(buffer)),
  F8_E4M3: (bytes) => float8sToFloats(bytes, 'F8_E4M3'),
  F8_E5M2: (bytes) => float8sToFloats(bytes, 'F8_E5M2'),
};

async function convert(path: string, destination: string, onStart: () => void): Promise<void> {
  const tensors = await readWeightFile(path);
  const source = await identityOf(tensors);
  if (await isCopyOf(source, destination)) return;
  onStart();
  const descriptors = new Map<string, number>();
  try {
    const converted = new Map<string, TensorToWrite>();
    for (const [name, tensor] of inFileOrder(tensors)) {
      const dtype = tensor.dtype in readers ? 'F32' : tensor.dtype;
      const bytes = pieces(tensor, (file) => {
        const descriptor = descriptors.get(file) ?? openSync(file, 'r');
        descriptors.set(file, descriptor);
        return descriptor;
      });
      converted.set(name, { dtype, shape: tensor.shape, bytes });
    }
    await writeSafetensors(destination, converted, {
      format: 'pt',
      darkroom: 'a float32 copy, may be deleted',
      source,
    });
  } finally {
    for (const descriptor of descriptors.values()) closeSync(descriptor);
  }
}

/** Changes when one of the files does. */
async function identityOf(tensors: Tensors): Promise<string> {
  const files = [...new Set([...tensors.values()].map(({ file }) => file))].sort();
  const parts = await Promise.all(
    files.map(async (file) => {
      const { size, mtimeMs } = await stat(file);
      return `${file} ${size} ${mtimeMs}`;
    }),
  );
  return parts.join('\n');
}

async function isCopyOf(source: string, path: string): Promise<boolean> {
  if (!(await exists(path))) return false;
  const { metadata } = await readSafetensors(path).catch(() => ({ metadata: {} as Record<string, string> }));
  return metadata.source === source;
}

/** From the front of a file to its end, which disks like. */
function inFileOrder(tensors: Tensors): [string, TensorRef][] {
  return [...tensors].sort(([, a], [, b]) => (a.file === b.file ? a.offset - b.offset : a.file < b.file ? -1 : 1));
}

const pieceLength = 4 << 20;

function* pieces(tensor: TensorRef, open: (file: string) => number): Iterable<Uint8Array> {
  const { file, offset, byteLength, axes, dtype } = tensor;
  // A tensor whose axes are to be put in order is needed as a whole.
  const step = axes ? Math.max(1, byteLength) : pieceLength;
  for (let position = 0; position < byteLength; position += step) {
    const bytes = new Uint8Array(Math.min(step, byteLength - position));
    if (readSync(open(file), bytes, 0, bytes.length, offset + position) < bytes.length) {
      throw weightFault(file, 'it became shorter while it was read');
    }
    const values = inOwnOrder(bytes, tensor);
    const toFloats = readers[dtype];
    yield toFloats ? new Uint8Array(toFloats(values).buffer) : values;
  }
}

async function placeLink(path: string, destination: string): Promise<void> {
  const target = await realpath(path);
  if ((await realpath(destination).catch(() => undefined)) === target) return;
  // Where symbolic links need a privilege (Windows), the file is copied.
  await place(destination, (part) => symlink(target, part).catch(() => copyFile(target, part)));
}

/** Puts a file in its place whole: two processes may do the same at once. */
async function place(destination: string, write: (part: string) => Promise<void>): Promise<void> {
  const part = `${destination}.${randomUUID()}.part`;
  await write(part);
  await rename(part, destination);
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
