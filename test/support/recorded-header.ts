import { readFileSync } from 'node:fs';
import { sizeOf } from '../../src/math/tensor.ts';
import { type Dtype, elementSizes, type TensorRef } from '../../src/weights/safetensors.ts';
import { type NetworkWeights, weightsOf } from '../../src/weights/scope.ts';

export type Header = Record<string, [Dtype, number[]]>;

/** What the header of a published file says, without its weights. */
export function recordedHeader(name: string): Header {
  return JSON.parse(readFileSync(new URL(`../fixtures/headers/${name}.json`, import.meta.url), 'utf8'));
}

/** For building graphs, which cannot be run. */
export function weightsOfHeader(header: Header, source: string): NetworkWeights {
  return weightsOf(tensorsOfHeader(header, `/${source}`), source);
}

/** One after another in a file that is not there. */
export function tensorsOfHeader(header: Header, file: string): Map<string, TensorRef> {
  const tensors = new Map<string, TensorRef>();
  let offset = 0;
  for (const [name, [dtype, shape]] of Object.entries(header)) {
    const byteLength = elementSizes[dtype] * sizeOf(shape);
    tensors.set(name, { name, file, offset, byteLength, dtype, shape });
    offset += byteLength;
  }
  return tensors;
}

/** Of all its tensors. */
export function headerBytes(header: Header): number {
  return Object.values(header).reduce((sum, [dtype, shape]) => sum + elementSizes[dtype] * sizeOf(shape), 0);
}
