import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { NotFoundError } from '../base/errors.ts';
import type { FileStore, StoredFile } from './files.ts';
import { sniffedBytes, sniffMediaType } from './media-type.ts';

/** 24 random bytes: 192 bits that nobody guesses, 32 characters that need no escaping in a URL. */
const keyBytes = 24;
const keyPattern = /^[A-Za-z0-9_-]{22,64}$/;

/** Checked before a key touches a path or a query: nothing but this alphabet gets through. */
export function isFileKey(key: string): boolean {
  return keyPattern.test(key);
}

/**
 * Stored files below a folder of this machine, at `<folder>/<first two characters>/<key>`.
 *
 * A file appears under its key only when all its bytes are on the disk: it is written beside, flushed, then renamed.
 */
export function createLocalFileStore(folder: string): FileStore {
  const partial = join(folder, 'partial');
  const pathOf = (key: string): string => {
    if (!isFileKey(key)) throw new NotFoundError('There is no stored file of this name.');
    return join(folder, key.slice(0, 2), key);
  };
  return {
    async put(name, content) {
      const key = randomBytes(keyBytes).toString('base64url');
      const target = pathOf(key);
      await mkdir(partial, { recursive: true });
      await mkdir(join(target, '..'), { recursive: true });
      const temporary = join(partial, key);
      try {
        const stored = await write(temporary, content);
        await rename(temporary, target);
        return { key, name, ...stored };
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      }
    },
    async path(key) {
      const path = pathOf(key);
      await access(path).catch(() => {
        throw new NotFoundError('The stored file was removed.');
      });
      return path;
    },
    async delete(key) {
      await rm(pathOf(key), { force: true });
    },
  };
}

/** Copies the bytes to a new file and learns on the way what its row needs. */
async function write(
  path: string,
  content: Uint8Array | { path: string },
): Promise<Pick<StoredFile, 'contentType' | 'size' | 'sha256'>> {
  const source = content instanceof Uint8Array ? Readable.from([content]) : createReadStream(content.path);
  const hash = createHash('sha256');
  let head = Buffer.alloc(0);
  let size = 0;
  // `wx`: the key is new, so a file that is there already would be somebody else's.
  const file = await open(path, 'wx', 0o600);
  try {
    for await (const chunk of source as AsyncIterable<Uint8Array>) {
      hash.update(chunk);
      if (head.length < sniffedBytes) head = Buffer.concat([head, chunk.subarray(0, sniffedBytes - head.length)]);
      await writeAll(file, chunk);
      size += chunk.length;
    }
    await file.datasync();
  } finally {
    await file.close();
  }
  return { contentType: sniffMediaType(head), size, sha256: hash.digest('hex') };
}

/** One `write` may take only a part of the bytes. */
async function writeAll(file: Awaited<ReturnType<typeof open>>, chunk: Uint8Array): Promise<void> {
  let written = 0;
  while (written < chunk.length) written += (await file.write(chunk, written)).bytesWritten;
}
