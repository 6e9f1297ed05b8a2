import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError } from '../base/errors.ts';

/** @throws InputError when there is no case in the folder */
export async function readCaseJson(folder: string): Promise<Record<string, unknown>> {
  const text = await readFile(join(folder, 'case.json'), 'utf8').catch((error: NodeJS.ErrnoException) => {
    const reason = error.code === 'ENOENT' ? 'there is no case.json in it' : `case.json cannot be read (${error.code})`;
    throw new InputError(`"${folder}" is no case: ${reason}.`);
  });
  try {
    const json: unknown = JSON.parse(withInfinities(text));
    if (isRecord(json)) return json;
  } catch (error) {
    throw new InputError(`"${folder}" is no case: its case.json is not JSON (${(error as Error).message}).`);
  }
  throw new InputError(`"${folder}" is no case: its case.json does not hold an object.`);
}

/** Python writes infinities as bare words, and DPM-Solver's configuration holds one. */
function withInfinities(text: string): string {
  return text.replace(/"(?:[^"\\]|\\.)*"|Infinity/g, (found) => (found === 'Infinity' ? '1e999' : found));
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
