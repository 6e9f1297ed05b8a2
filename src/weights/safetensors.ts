/**
 * Reads the header of a `.safetensors` file. The file may come from anywhere, so every claim of the header is checked
 * before a byte of a tensor is used: the rules are those of the format's own reader (huggingface/safetensors,
 * safetensors/src/tensor.rs), names and key duplicates included.
 */
import { type FileHandle, open, realpath } from 'node:fs/promises';
import type { WeightError } from '../base/errors.ts';
import { duplicateKey } from './duplicate-key.ts';
import { fill, longestName, mostAxes, openWeightFile, weightFault } from './weight-file.ts';

/** Bytes of an element, by the names that the format uses. */
export const elementSizes = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8,
} as const;

export type Dtype = keyof typeof elementSizes;

/** Where a tensor lies. Its bytes are read late, or mapped by ONNX Runtime and never read here. */
export interface TensorRef {
  name: string;
  /** Real path: ONNX Runtime refuses symbolic links, and Hugging Face's cache consists of them. */
  file: string;
  offset: number;
  byteLength: number;
  dtype: Dtype;
  shape: readonly number[];
  /** The axes in the order in which they lie in the file, the outermost first; absent where that is their own order. */
  axes?: readonly number[];
}

export interface Safetensors {
  file: string;
  tensors: ReadonlyMap<string, TensorRef>;
  metadata: Readonly<Record<string, string>>;
}

/** The format's own limit. */
const longestHeader = 100_000_000;
const prefixLength = 8;

/** @throws WeightError naming the file and its fault */
export async function readSafetensors(path: string): Promise<Safetensors> {
  const handle = await openWeightFile(path);
  try {
    const { size } = await handle.stat();
    const text = await readHeader(handle, path, size);
    const dataStart = prefixLength + Buffer.byteLength(text);
    return parseHeader(text, { path, file: await realpath(path), size, dataStart });
  } finally {
    await handle.close();
  }
}

/** The bytes of one tensor, little-endian. */
export async function readBytes(tensor: TensorRef): Promise<Uint8Array> {
  const handle = await open(tensor.file, 'r');
  try {
    const bytes = new Uint8Array(tensor.byteLength);
    await fill(handle, bytes, tensor.offset, tensor.file);
    return bytes;
  } finally {
    await handle.close();
  }
}

async function readHeader(handle: FileHandle, path: string, size: number): Promise<string> {
  if (size < prefixLength) throw weightFault(path, `it has ${size} bytes, too few for a header. Download it again`);
  const prefix = new Uint8Array(prefixLength);
  await fill(handle, prefix, 0, path);
  if (Buffer.from(prefix).toString('latin1') === 'version ') {
    throw weightFault(path, 'it is a Git LFS pointer in place of the weights. Fetch the file itself (git lfs pull)');
  }
  const length = new DataView(prefix.buffer).getBigUint64(0, true);
  if (length > longestHeader) {
    throw weightFault(path, `it is not a safetensors file: its header would have ${length} bytes, above the limit`);
  }
  if (length > size - prefixLength) {
    throw weightFault(path, `it is cut short: its header has ${length} bytes, the file ${size}. Download it again`);
  }
  const header = new Uint8Array(Number(length));
  await fill(handle, header, prefixLength, path);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(header);
  } catch {
    throw weightFault(path, 'its header is not UTF-8 text');
  }
}

interface Place {
  path: string;
  file: string;
  size: number;
  dataStart: number;
}

function parseHeader(text: string, place: Place): Safetensors {
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch {
    throw weightFault(place.path, 'its header is not JSON');
  }
  if (!isRecord(header)) throw weightFault(place.path, 'its header is not a JSON object');
  const twice = duplicateKey(text);
  if (twice !== undefined) throw weightFault(place.path, `its header names "${shortened(twice)}" twice`);

  const { __metadata__: metadata = {}, ...entries } = header;
  if (!isRecord(metadata) || !Object.values(metadata).every((value) => typeof value === 'string')) {
    throw weightFault(place.path, 'its __metadata__ is not a map from texts to texts');
  }
  const tensors = new Map<string, TensorRef>();
  for (const [name, entry] of Object.entries(entries)) tensors.set(name, parseTensor(name, entry, place));
  checkCoverage(tensors, place);
  return { file: place.file, tensors, metadata: metadata as Record<string, string> };
}

function parseTensor(name: string, entry: unknown, place: Place): TensorRef {
  const bad = (reason: string): WeightError => weightFault(place.path, `its tensor "${shortened(name)}" ${reason}`);
  if (name.length > longestName) throw bad(`has a name of ${name.length} letters, above the limit of ${longestName}`);
  if (!isRecord(entry)) throw bad('is not described by an object');
  const { dtype, shape, data_offsets: offsets } = entry;
  if (typeof dtype !== 'string') throw bad('has a type that is not a text');
  if (!Object.hasOwn(elementSizes, dtype)) throw bad(`has the unknown type ${shortened(dtype)}`);
  if (!isCounts(shape)) throw bad('has a shape that is not a list of sizes');
  if (shape.length > mostAxes) throw bad(`has ${shape.length} axes, above the limit of ${mostAxes}`);
  if (!isCounts(offsets) || offsets.length !== 2) throw bad('has offsets that are not two positions');
  const [begin, end] = offsets as [number, number];
  if (begin > end) throw bad('ends before it begins');
  let byteLength: number = elementSizes[dtype as Dtype];
  for (const dim of shape) {
    byteLength *= dim;
    if (!Number.isSafeInteger(byteLength)) throw bad('has a shape too large to count');
  }
  if (byteLength !== end - begin) {
    throw bad(`has ${end - begin} bytes where ${dtype} [${shape.join(', ')}] needs ${byteLength}`);
  }
  return { name, file: place.file, offset: place.dataStart + begin, byteLength, dtype: dtype as Dtype, shape };
}

/** Tensors lie side by side, from the header to the end of the file. */
function checkCoverage(tensors: ReadonlyMap<string, TensorRef>, { path, size, dataStart }: Place): void {
  const ordered = [...tensors].sort(([, a], [, b]) => a.offset - b.offset || a.byteLength - b.byteLength);
  let position = dataStart;
  for (const [name, tensor] of ordered) {
    if (tensor.offset < position) throw weightFault(path, `its tensor "${name}" overlaps another one`);
    if (tensor.offset > position) throw weightFault(path, `bytes before its tensor "${name}" belong to no tensor`);
    position += tensor.byteLength;
  }
  if (position > size) {
    throw weightFault(
      path,
      `it is cut short: its header names ${position} bytes, the file has ${size}. Download it again`,
    );
  }
  if (position < size) throw weightFault(path, `${size - position} bytes after its last tensor belong to no tensor`);
}

function shortened(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((entry) => Number.isSafeInteger(entry) && entry >= 0);
}
