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

/**
 * Where the bytes of stored files lie. Rows about them are in the database (`files` table) and are written in the
 * transaction that makes the file visible; bytes are written before, so a crash leaves at most bytes without a row.
 */
export interface FileStore {
  /** Stores the bytes under a new key and returns what the row needs. */
  put(name: string, content: Uint8Array | { path: string }): Promise<StoredFile>;
  /** A local path that holds the bytes, for reading. @throws NotFoundError */
  path(key: string): Promise<string>;
  /** Removes the bytes; no error when they are gone already. */
  delete(key: string): Promise<void>;
}
