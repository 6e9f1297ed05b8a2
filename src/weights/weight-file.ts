/** What the readers of all weight formats share: opening a file, reading from a place in it, and naming its fault. */
import { readSync } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { WeightError } from '../base/errors.ts';

/** Of a tensor: PyTorch makes none with more. What a file says beyond that would only fill messages and memory. */
export const mostAxes = 64;
/** Of a tensor. Names stand in messages, logs and graphs: a file that is one long name would fill them. */
export const longestName = 1000;

/** @throws WeightError when there is no file, or it may not be read */
export async function openWeightFile(path: string): Promise<FileHandle> {
  try {
    if (!(await stat(path)).isFile()) throw weightFault(path, 'it is not a file');
    return await open(path, 'r');
  } catch (error) {
    if (error instanceof WeightError) throw error;
    throw new WeightError(`The weight file ${path} cannot be opened (${(error as NodeJS.ErrnoException).code}).`);
  }
}

/** Fills `bytes` from the file. @throws WeightError when the file ends before */
export async function fill(handle: FileHandle, bytes: Uint8Array, position: number, path: string): Promise<void> {
  let filled = 0;
  while (filled < bytes.length) {
    const { bytesRead } = await handle.read(bytes, filled, bytes.length - filled, position + filled);
    if (bytesRead === 0) throw weightFault(path, 'it became shorter while it was read');
    filled += bytesRead;
  }
}

/**
 * The same without a turn of the event loop, for the thousands of small headers inside a file: PyTorch's containers have
 * one for each tensor.
 */
export function fillNow(handle: FileHandle, bytes: Uint8Array, position: number, path: string): void {
  let filled = 0;
  while (filled < bytes.length) {
    const bytesRead = readSync(handle.fd, bytes, filled, bytes.length - filled, position + filled);
    if (bytesRead === 0) throw weightFault(path, 'it became shorter while it was read');
    filled += bytesRead;
  }
}

/** @param reason part of a sentence, without its full stop; it may quote the file, which may say anything at any length */
export function weightFault(path: string, reason: string): WeightError {
  const cut = reason.length > 1000 ? `${reason.slice(0, 500)} … ${reason.slice(-200)}` : reason;
  return new WeightError(`The weight file ${path} cannot be used: ${cut}.`);
}
