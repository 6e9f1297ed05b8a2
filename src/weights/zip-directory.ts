/**
 * The directory of a zip file whose entries are stored and not compressed, as PyTorch writes them (PKWARE APPNOTE 6.3.10,
 * with zip64). Nothing is ever inflated, so a small file cannot become a large one. An entry that is compressed,
 * encrypted, named twice, or lies over another one is an error; so is a byte order of things that zip files allow and
 * PyTorch does not use (data in front, several disks).
 */
import type { FileHandle } from 'node:fs/promises';
import { fill, fillNow, weightFault } from './weight-file.ts';

/** Where an entry's bytes lie. */
export interface ZipEntry {
  offset: number;
  size: number;
}

const endLength = 22;
const end64LocatorLength = 20;
const end64Length = 56;
const directoryHeaderLength = 46;
const localHeaderLength = 30;
const signatures = {
  end: 0x06054b50,
  end64Locator: 0x07064b50,
  end64: 0x06064b50,
  entry: 0x02014b50,
  local: 0x04034b50,
};
const inZip64 = 0xffffffff;
const encrypted = 0x2041;

/** Room for a hundred thousand entries. */
const largestDirectory = 8 << 20;

export async function readZipDirectory(
  handle: FileHandle,
  size: number,
  path: string,
): Promise<ReadonlyMap<string, ZipEntry>> {
  const { start, length, count } = await findDirectory(handle, size, path);
  const bytes = Buffer.alloc(length);
  await fill(handle, bytes, start, path);
  const listed = parseDirectory(bytes, count, path);
  const headers = listed.map((entry) => readLocalHeader(handle, entry, start, path));
  checkOverlap(listed, headers, path);
  return new Map(
    listed.map(({ name, size: entrySize }, index) => [name, { offset: headers[index]!, size: entrySize }]),
  );
}

function damaged(path: string, reason: string): Error {
  return weightFault(path, `its zip container ${reason}. Download it again`);
}

/** The record at the very end names the directory; in a large file a second record before it holds the true numbers. */
async function findDirectory(
  handle: FileHandle,
  size: number,
  path: string,
): Promise<{ start: number; length: number; count: number }> {
  const tail = Buffer.alloc(Math.min(size, endLength + end64LocatorLength));
  await fill(handle, tail, size - tail.length, path);
  const end = tail.length - endLength;
  if (end < 0 || tail.readUInt32LE(end) !== signatures.end || tail.readUInt16LE(end + 20) !== 0) {
    throw damaged(path, 'has no directory at its end: it is cut short');
  }
  const record = {
    count: tail.readUInt16LE(end + 10),
    length: tail.readUInt32LE(end + 12),
    start: tail.readUInt32LE(end + 16),
  };
  let directoryEnd = size - endLength;
  if (end === end64LocatorLength && tail.readUInt32LE(0) === signatures.end64Locator) {
    directoryEnd = number64(tail, 8, path);
    const end64 = Buffer.alloc(end64Length);
    if (directoryEnd + end64Length !== size - tail.length) {
      throw damaged(path, 'has a directory in another place than it says');
    }
    await fill(handle, end64, directoryEnd, path);
    if (end64.readUInt32LE(0) !== signatures.end64) throw damaged(path, 'has a damaged directory');
    record.count = number64(end64, 32, path);
    record.length = number64(end64, 40, path);
    record.start = number64(end64, 48, path);
  }
  if (record.start + record.length !== directoryEnd)
    throw damaged(path, 'has a directory in another place than it says');
  if (record.length > largestDirectory) throw damaged(path, `has a directory of ${record.length} bytes`);
  return record;
}

interface ListedEntry {
  name: string;
  rawName: Buffer;
  header: number;
  size: number;
}

function parseDirectory(bytes: Buffer, count: number, path: string): ListedEntry[] {
  const entries: ListedEntry[] = [];
  const names = new Set<string>();
  let position = 0;
  while (position < bytes.length) {
    if (position + directoryHeaderLength > bytes.length) throw damaged(path, 'has a damaged directory');
    if (bytes.readUInt32LE(position) !== signatures.entry) throw damaged(path, 'has a damaged directory');
    const nameEnd = position + directoryHeaderLength + bytes.readUInt16LE(position + 28);
    const extraEnd = nameEnd + bytes.readUInt16LE(position + 30);
    const next = extraEnd + bytes.readUInt16LE(position + 32);
    if (next > bytes.length) throw damaged(path, 'has a damaged directory');
    const rawName = bytes.subarray(position + directoryHeaderLength, nameEnd);
    const name = rawName.toString('utf8');
    if (names.has(name)) throw damaged(path, `has two entries "${name}"`);
    names.add(name);
    if (bytes.readUInt16LE(position + 8) & encrypted) throw damaged(path, `has the encrypted entry "${name}"`);
    if (bytes.readUInt16LE(position + 10) !== 0) {
      throw weightFault(
        path,
        `its entry "${name}" is compressed, which PyTorch does not do. Save it again with PyTorch`,
      );
    }
    const long = readZip64(bytes.subarray(nameEnd, extraEnd), path);
    const field = (at: number): number => {
      const short = bytes.readUInt32LE(position + at);
      return short === inZip64 ? long() : short;
    };
    // The order in which the long forms are stored.
    const [size, stored, header] = [field(24), field(20), field(42)] as [number, number, number];
    if (size !== stored) throw damaged(path, `has the entry "${name}" in two sizes`);
    entries.push({ name, rawName, header, size });
    position = next;
  }
  if (entries.length !== count) throw damaged(path, `has ${entries.length} entries and says ${count}`);
  return entries;
}

/** The numbers of an entry's zip64 field, one after another. */
function readZip64(extra: Buffer, path: string): () => number {
  let [position, end] = [0, 0];
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    if (extra.readUInt16LE(at) === 1)
      [position, end] = [at + 4, Math.min(extra.length, at + 4 + extra.readUInt16LE(at + 2))];
  }
  return () => {
    if (position + 8 > end) throw damaged(path, 'lacks the sizes of a large entry');
    position += 8;
    return number64(extra, position - 8, path);
  };
}

/** Where the entry's bytes begin: only its own header tells, for PyTorch pads that until they are aligned. */
function readLocalHeader(
  handle: FileHandle,
  { name, rawName, header, size }: ListedEntry,
  directory: number,
  path: string,
): number {
  const bytes = Buffer.alloc(localHeaderLength + rawName.length);
  if (header + bytes.length > directory) throw damaged(path, `has the entry "${name}" outside itself`);
  fillNow(handle, bytes, header, path);
  const isSame =
    bytes.readUInt32LE(0) === signatures.local &&
    bytes.readUInt16LE(8) === 0 &&
    bytes.readUInt16LE(26) === rawName.length &&
    rawName.equals(bytes.subarray(localHeaderLength));
  if (!isSame) throw damaged(path, `describes the entry "${name}" in two ways`);
  const offset = header + bytes.length + bytes.readUInt16LE(28);
  if (offset + size > directory) throw damaged(path, `has the entry "${name}" outside itself`);
  return offset;
}

function checkOverlap(entries: readonly ListedEntry[], offsets: readonly number[], path: string): void {
  const ordered = entries.map((entry, index) => ({ ...entry, end: offsets[index]! + entry.size }));
  ordered.sort((a, b) => a.header - b.header);
  for (const [index, { name, header }] of ordered.entries()) {
    if (index > 0 && header < ordered[index - 1]!.end) throw damaged(path, `has the entry "${name}" over another one`);
  }
}

function number64(bytes: Buffer, position: number, path: string): number {
  const value = Number(bytes.readBigUInt64LE(position));
  if (!Number.isSafeInteger(value)) throw damaged(path, 'has a size that no file can have');
  return value;
}
