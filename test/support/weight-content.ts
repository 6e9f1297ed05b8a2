import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { inOwnOrder } from '../../src/weights/read-tensor.ts';
import { type Dtype, readBytes, type TensorRef } from '../../src/weights/safetensors.ts';

/** Type, shape and the first digits of a hash of the values row by row, as `tools/reference/weights.py` writes it. */
export type Content = Record<string, [Dtype, readonly number[], string]>;

export function fixture(name: string): string {
  return fileURLToPath(new URL(`../fixtures/weights/${name}`, import.meta.url));
}

export function recordedContent(name: string): Content {
  return JSON.parse(readFileSync(fixture(name), 'utf8')) as Content;
}

export async function contentOf(tensors: ReadonlyMap<string, TensorRef>): Promise<Content> {
  const entries = [...tensors].map(async ([name, tensor]): Promise<[string, Content[string]]> => {
    const bytes = inOwnOrder(await readBytes(tensor), tensor);
    return [name, [tensor.dtype, tensor.shape, createHash('sha256').update(bytes).digest('hex').slice(0, 16)]];
  });
  return Object.fromEntries(await Promise.all(entries));
}
