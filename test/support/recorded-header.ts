import { readFileSync } from 'node:fs';
import type { Dtype, TensorRef } from '../../src/weights/safetensors.ts';
import { type NetworkWeights, weightsOf } from '../../src/weights/scope.ts';

export type Header = Record<string, [Dtype, number[]]>;

/** What the header of a published file says, without its weights. */
export function recordedHeader(name: string): Header {
  return JSON.parse(readFileSync(new URL(`../fixtures/headers/${name}.json`, import.meta.url), 'utf8'));
}

/** For building graphs, which cannot be run. */
export function weightsOfHeader(header: Header, source: string): NetworkWeights {
  const tensors = new Map<string, TensorRef>();
  for (const [name, [dtype, shape]] of Object.entries(header)) {
    tensors.set(name, { name, file: '/weights', offset: 0, byteLength: 1, dtype, shape });
  }
  return weightsOf(tensors, source);
}
