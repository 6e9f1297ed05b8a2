import type { Readable } from 'node:stream';

/** Metadata of a stored file: a picture that came in, or one that a prediction made. */
export interface StoredFile {
  /** Unguessable, URL-safe, 22 characters or more. */
  key: string;
  /** Name with ending, as the last part of its URL. */
  name: string;
  /** Sniffed from the bytes, never taken from a label. */
  contentType: string;
  /** Bytes. */
  size: number;
  /** Hex. */
  sha256: string;
}

/** Both inclusive. */
export interface StoredRange {
  start: number;
  end: number;
}

/** Bytes that lie in the store, whether a row speaks of them or not. */
export interface StoredBytes {
  key: string;
  /** When they were last written, copied or linked to. */
  changedAt: Date;
}

/**
 * Where the bytes of stored files lie. Rows about them are in the database (`files`, `uploads`) and are written in the
 * transaction that makes the file visible; bytes are written before, so a crash leaves at most bytes without a row.
 */
export interface FileStore {
  /**
   * Stores the bytes under a new key and returns what the row needs. Nothing stays when the content breaks off with an
   * error, which is thrown on.
   */
  put(name: string, content: Uint8Array | { path: string } | AsyncIterable<Uint8Array>): Promise<StoredFile>;
  /** Gives the same bytes a second key that lives and dies by itself. @throws NotFoundError */
  copy(file: StoredFile, name: string): Promise<StoredFile>;
  /** The bytes, or a range of them. Whoever asks reads to the end or destroys the stream. @throws NotFoundError */
  read(key: string, range?: StoredRange): Promise<Readable>;
  /** A local path that holds the bytes, for reading. @throws NotFoundError */
  path(key: string): Promise<string>;
  /** Removes the bytes; no error when they are gone already. */
  delete(key: string): Promise<void>;
  /** Everything that takes up space, in no order; also what was never finished. All of it can be deleted by its key. */
  list(): AsyncIterable<StoredBytes>;
  /** Marks the store as that of the database with this id, unless it is another's. @returns whether it is this one's */
  claim(databaseId: string): Promise<boolean>;
}
