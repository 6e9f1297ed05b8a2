import type { FileHandle } from 'node:fs/promises';
import { readSafetensors, type TensorRef } from './safetensors.ts';
import { readSharded } from './sharded.ts';
import { readTorchLegacy } from './torch-legacy.ts';
import { readTorchZip } from './torch-zip.ts';
import { fill, openWeightFile, weightFault } from './weight-file.ts';

type Format = (path: string) => Promise<ReadonlyMap<string, TensorRef>>;

/**
 * The tensors of a weight file of any format: safetensors, PyTorch's two containers (`.bin`, `.ckpt`, `.pth`, `.pt`), and
 * the index of a file that is split into several. What it is shows in its first bytes; names of files say many things.
 *
 * @throws WeightError naming the file and its fault
 */
export async function readWeightFile(path: string): Promise<ReadonlyMap<string, TensorRef>> {
  const format = await formatOf(path);
  return await format(path);
}

/** One file; for shards, which are never an index themselves. */
export async function readWholeFile(path: string): Promise<ReadonlyMap<string, TensorRef>> {
  const format = await formatOf(path);
  if (format === readIndex) throw weightFault(path, 'it is an index and not a part of one. Download it again');
  return await format(path);
}

async function formatOf(path: string): Promise<Format> {
  const handle = await openWeightFile(path);
  try {
    return recognize(await readStart(handle, path), path);
  } finally {
    await handle.close();
  }
}

const startLength = 512;

async function readStart(handle: FileHandle, path: string): Promise<Buffer> {
  const { size } = await handle.stat();
  const bytes = Buffer.alloc(Math.min(size, startLength));
  await fill(handle, bytes, 0, path);
  return bytes;
}

function recognize(start: Buffer, path: string): Format {
  // A safetensors file begins with a length in eight bytes, whose upper ones are zero, and its brace. First, because the
  // lower bytes may look like anything.
  if (start.length > 8 && start.readUInt32LE(4) === 0 && start[8] === 0x7b) return readSafetensorsFile;
  const text = start.toString('latin1');
  if (text.startsWith('PK\x03\x04')) return readTorchZip;
  // A pickle, and its protocol.
  if (start[0] === 0x80 && start[1]! >= 2 && start[1]! <= 5) return readTorchLegacy;
  if (/^\s*\{/.test(text)) return readIndex;
  if (/^\s*<(!doctype|html)/i.test(text)) {
    throw weightFault(
      path,
      'it is a web page in place of the weights. Download it again, signed in where that is asked',
    );
  }
  if (text.slice(257, 262) === 'ustar') {
    throw weightFault(path, 'it is a tar archive. Unpack it, or save it again with a PyTorch newer than 0.1.10');
  }
  return readSafetensorsFile;
}

const readIndex: Format = (path) => readSharded(path, readWholeFile);

const readSafetensorsFile: Format = async (path) => (await readSafetensors(path)).tensors;
