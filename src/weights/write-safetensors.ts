import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { finished } from 'node:stream/promises';
import { type Dtype, elementSizes } from './safetensors.ts';

export interface TensorToWrite {
  dtype: Dtype;
  shape: readonly number[];
  /** Little-endian; an iterable is asked for its pieces when they are written, so a large file needs little memory. */
  bytes: Uint8Array | Iterable<Uint8Array>;
}

/** Writes a whole file or none: under another name first, then renamed. Tensors lie in the order of the map. */
export async function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, TensorToWrite>,
  metadata?: Readonly<Record<string, string>>,
): Promise<void> {
  const temporary = `${path}.${randomUUID()}.part`;
  const stream = createWriteStream(temporary);
  const done = finished(stream);
  // An error is met at the next await of `done`; until then it must not count as unhandled.
  done.catch(() => {});
  try {
    stream.write(headerOf(tensors, metadata));
    for (const [name, { bytes, ...tensor }] of tensors) {
      let written = 0;
      for (const piece of bytes instanceof Uint8Array ? [bytes] : bytes) {
        written += piece.byteLength;
        if (!stream.write(piece)) await Promise.race([once(stream, 'drain'), done]);
      }
      if (written !== byteLengthOf(tensor)) {
        throw new RangeError(`"${name}" has ${written} bytes where ${byteLengthOf(tensor)} were announced.`);
      }
    }
    stream.end();
    await done;
    await rename(temporary, path);
  } catch (error) {
    stream.destroy();
    // Not before it is closed: the file may not have been there yet, and would be made after it was removed.
    await done.catch(() => {});
    await rm(temporary, { force: true });
    throw error;
  }
}

function headerOf(
  tensors: ReadonlyMap<string, TensorToWrite>,
  metadata: Readonly<Record<string, string>> | undefined,
): Uint8Array {
  const entries: [string, unknown][] = metadata ? [['__metadata__', metadata]] : [];
  let position = 0;
  for (const [name, tensor] of tensors) {
    const end = position + byteLengthOf(tensor);
    entries.push([name, { dtype: tensor.dtype, shape: tensor.shape, data_offsets: [position, end] }]);
    position = end;
  }
  const json = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  // Spaces at the end let the tensors begin at a multiple of eight bytes, as the format's own writer does.
  const header = Buffer.alloc(8 + Math.ceil(json.length / 8) * 8, ' ');
  header.writeBigUInt64LE(BigInt(header.length - 8));
  json.copy(header, 8);
  return header;
}

function byteLengthOf({ dtype, shape }: Pick<TensorToWrite, 'dtype' | 'shape'>): number {
  return shape.reduce((product, dim) => product * dim, elementSizes[dtype]);
}
