import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, constants, copyFile, link, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { NotFoundError } from '../base/errors.ts';
import type { FileStore, StoredBytes, StoredFile } from './files.ts';
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
 * Copies are hard links where the file system has them: they take no time and no space.
 */
export function createLocalFileStore(folder: string): FileStore {
  const partial = join(folder, 'partial');
  const pathOf = (key: string): string => {
    if (!isFileKey(key)) throw new NotFoundError('There is no stored file of this name.');
    return join(folder, key.slice(0, 2), key);
  };
  const partialOf = (key: string): string => join(partial, key);
  return {
    async put(name, content) {
      const key = newKey();
      const target = pathOf(key);
      await mkdir(partial, { recursive: true });
      await mkdir(dirname(target), { recursive: true });
      try {
        const stored = await write(partialOf(key), content);
        await rename(partialOf(key), target);
        return { key, name, ...stored };
      } catch (error) {
        await rm(partialOf(key), { force: true });
        throw error;
      }
    },
    async copy(file, name) {
      const key = newKey();
      const [source, target] = [pathOf(file.key), pathOf(key)];
      await mkdir(dirname(target), { recursive: true });
      await orNotFound(linkOrCopy(source, target));
      return { ...file, key, name };
    },
    async read(key, range) {
      const file = await orNotFound(open(pathOf(key)));
      return file.createReadStream(range);
    },
    async path(key) {
      const path = pathOf(key);
      await orNotFound(access(path));
      return path;
    },
    async delete(key) {
      await rm(pathOf(key), { force: true });
      await rm(partialOf(key), { force: true });
    },
    list: () => listBytes(folder),
    async claim(databaseId) {
      const mark = join(folder, 'database');
      const isThere = await access(mark).then(
        () => true,
        () => false,
      );
      if (!isThere) {
        const own = partialOf(newKey());
        await mkdir(partial, { recursive: true });
        await write(own, Buffer.from(databaseId));
        // Of several servers that begin at once, one is the first.
        await linkOrCopy(own, mark).catch((error: NodeJS.ErrnoException) => {
          if (error.code !== 'EEXIST') throw error;
        });
        await rm(own);
      }
      return (await readFile(mark, 'utf8')) === databaseId;
    },
  };
}

function newKey(): string {
  return randomBytes(keyBytes).toString('base64url');
}

function orNotFound<Result>(found: Promise<Result>): Promise<Result> {
  return found.catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ENOENT' ? new NotFoundError('The stored file was removed.') : error;
  });
}

export async function linkOrCopy(source: string, target: string): Promise<void> {
  try {
    await link(source, target);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw error;
    // No hard links on this file system, or too many of them.
    await copyFile(source, target, constants.COPYFILE_EXCL);
  }
}

async function* listBytes(folder: string): AsyncGenerator<StoredBytes> {
  const within = (name: string) => readdir(join(folder, name)).catch((): string[] => []);
  for (const shelf of await within('')) {
    for (const key of (await within(shelf)).filter(isFileKey)) {
      // When the inode changed, not the bytes: making a link is such a change.
      const found = await stat(join(folder, shelf, key)).catch(() => undefined);
      if (found) yield { key, changedAt: found.ctime };
    }
  }
}

/** Copies the bytes to a new file and learns on the way what its row needs. */
async function write(
  path: string,
  content: Parameters<FileStore['put']>[1],
): Promise<Pick<StoredFile, 'contentType' | 'size' | 'sha256'>> {
  const hash = createHash('sha256');
  let head = Buffer.alloc(0);
  let size = 0;
  // `wx`: the key is new, so a file that is there already would be somebody else's.
  const file = await open(path, 'wx', 0o600);
  // Not before: a stream without a reader would throw its error at the process.
  const source =
    content instanceof Uint8Array ? [content] : 'path' in content ? createReadStream(content.path) : content;
  try {
    for await (const chunk of source as Iterable<Uint8Array> | AsyncIterable<Uint8Array>) {
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
