import { realpathSync, statSync } from 'node:fs';
import { isAbsolute, join, relative, sep } from 'node:path';
import { sizeOf } from '../math/tensor.ts';
import { type Encoded, entryFields, externalLocation, integer, message, tensorFields, text } from '../onnx/proto.ts';
import { type ByteSource, protoFields } from '../onnx/proto-reader.ts';
import { mostAxes } from './weight-file.ts';

type Fault = (reason: string) => Error;

export interface InitializerContext {
  /** Of the file itself, from the folder. */
  location: string;
  /** The real folder of the file, which no weight may lie outside of. */
  folder: string;
  copy(start: number, end: number): Uint8Array;
  fault: Fault;
}

/** Bytes of one element of the types of `TensorProto.DataType` whose elements have a size of their own. */
const elementSizes: Readonly<Record<number, number>> = {
  1: 4, // float
  2: 1, // uint8
  3: 1, // int8
  4: 2, // uint16
  5: 2, // int16
  6: 4, // int32
  7: 8, // int64
  9: 1, // bool
  10: 2, // float16
  11: 8, // double
  12: 4, // uint32
  13: 8, // uint64
  16: 2, // bfloat16
};

/** ONNX Runtime wants to see shapes and the like while it loads a graph; larger tensors stay in their files. */
const smallest = 1024;

/** Names stand in messages: a file that is one long name would fill them. */
const longestName = 4096;

/** A name in the file. */
export function nameAt(source: ByteSource, { content, end }: { content: number; end: number }, fault: Fault): string {
  if (end - content > longestName) throw fault(`one of its names has ${end - content} bytes. Download it again`);
  return Buffer.from(source.slice(content, end)).toString('utf8');
}

/** A weight of the file, as the fields of a message that says where its bytes are. */
export function readInitializer(
  source: ByteSource,
  start: number,
  end: number,
  { location, folder, copy, fault }: InitializerContext,
): { name: string; encoded: Encoded[] } {
  let name = '';
  let type = 0;
  let raw: { content: number; end: number } | undefined;
  let isElsewhere = false;
  const dims: number[] = [];
  const entries = new Map<string, string>();
  const kept: Encoded[] = [];
  for (const field of protoFields(source, start, end, fault)) {
    const { number, content, hasLength } = field;
    if (number === tensorFields.rawData && hasLength) {
      raw = field;
      continue;
    }
    if (number === tensorFields.externalData && hasLength) {
      const [key, value] = readEntry(source, content, field.end, fault);
      entries.set(key, value);
      continue;
    }
    if (number === tensorFields.dataLocation && !hasLength) {
      isElsewhere = field.value !== 0;
      continue;
    }
    kept.push(copy(field.start, field.end));
    if (number === tensorFields.name) name = nameAt(source, field, fault);
    if (number === tensorFields.dataType) type = field.value;
    if (number === tensorFields.dims) {
      for (const dim of hasLength ? packed(copy(content, field.end), fault) : [field.value]) dims.push(dim);
      if (dims.length > mostAxes) throw fault(`one of its tensors has more than ${mostAxes} axes. Download it again`);
    }
  }
  if (isElsewhere) {
    const byteLength = byteLengthOf(name, dims, type, fault);
    return { name, encoded: [...kept, ...elsewhere(name, entries, byteLength, folder, fault)] };
  }
  if (!raw) return { name, encoded: kept };
  const length = raw.end - raw.content;
  if (length < smallest) {
    return { name, encoded: [...kept, message(tensorFields.rawData, [copy(raw.content, raw.end)])] };
  }
  const byteLength = byteLengthOf(name, dims, type, fault);
  if (length !== byteLength) throw fault(`its tensor "${name}" has ${length} bytes where ${byteLength} belong`);
  return { name, encoded: [...kept, ...place(location, raw.content, length)] };
}

function packed(bytes: Uint8Array, fault: Fault): number[] {
  const values: number[] = [];
  let value = 0;
  let shift = 0;
  for (const byte of bytes) {
    value += (byte & 0x7f) * 2 ** shift;
    shift += 7;
    if (byte >= 0x80) continue;
    values.push(value);
    value = 0;
    shift = 0;
  }
  if (shift > 0) throw fault('it is damaged. Download it again');
  return values;
}

function byteLengthOf(name: string, dims: readonly number[], type: number, fault: Fault): number {
  const length = sizeOf(dims) * (elementSizes[type] ?? Number.NaN);
  if (!Number.isSafeInteger(length)) throw fault(`its tensor "${name}" is described in a way that makes no sense`);
  return length;
}

function readEntry(source: ByteSource, start: number, end: number, fault: Fault): [key: string, value: string] {
  const entry = ['', ''] as [string, string];
  for (const { number, content, end: fieldEnd, hasLength } of protoFields(source, start, end, fault)) {
    const index = number === entryFields.key ? 0 : number === entryFields.value ? 1 : undefined;
    if (index === undefined || !hasLength) continue;
    if (fieldEnd - content > 4096) throw fault('the place of one of its tensors is too long');
    entry[index] = Buffer.from(source.slice(content, fieldEnd)).toString('utf8');
  }
  return entry;
}

/** A weight in another file of the same folder. */
function elsewhere(
  name: string,
  entries: ReadonlyMap<string, string>,
  byteLength: number,
  folder: string,
  fault: Fault,
): Encoded[] {
  const location = entries.get('location') ?? '';
  const outside = `its tensor "${name}" lies in "${location}", outside of its folder`;
  // On no system may it be read as a path from a root, nor as one that leads upward.
  if (!location || isAbsolute(location) || /[\\:\0]|(^|\/)\.\.(\/|$)/.test(location)) throw fault(outside);
  let file: string;
  let size: number;
  try {
    file = realpathSync(join(folder, location));
    size = statSync(file).size;
  } catch {
    throw fault(`its tensor "${name}" lies in "${location}", which is not there. Download it too`);
  }
  const inside = relative(folder, file);
  if (inside.startsWith('..') || isAbsolute(inside)) throw fault(outside);
  const offset = wholeNumber(entries.get('offset') ?? '0');
  const length = wholeNumber(entries.get('length') ?? String(byteLength));
  if (!(length === byteLength && offset + length <= size)) {
    throw fault(`its tensor "${name}" is not as long as "${location}" has room for. Download both again`);
  }
  return place(inside.split(sep).join('/'), offset, length);
}

function wholeNumber(text: string): number {
  return /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
}

function place(location: string, offset: number, length: number): Encoded[] {
  const entries = Object.entries({ location, offset, length });
  return [
    ...entries.map(([key, value]) =>
      message(tensorFields.externalData, [text(entryFields.key, key), text(entryFields.value, String(value))]),
    ),
    integer(tensorFields.dataLocation, externalLocation),
  ];
}
