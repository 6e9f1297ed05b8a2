import type { TensorType } from '../math/tensor.ts';
import type { MemoryNeed } from './memory.ts';

/** An input or output of a model. A graph is built anew for every shape; of a published file a run may decide it. */
export interface ValueInfo {
  name: string;
  type: TensorType;
  /** Numbers, or `anySize`. */
  dims: readonly number[];
}

/** In place of a dimension that each run decides. */
export const anySize = -1;

export function fitsDims(dims: readonly number[], wanted: readonly number[]): boolean {
  return dims.length === wanted.length && dims.every((dim, axis) => dim === wanted[axis] || wanted[axis] === anySize);
}

/** A serialized ONNX model. Its weights stay in the files they came from, as external data. */
export interface OnnxModel {
  /** For the CPU: with fused operators, and sizes that only the run knows (`hidden-sizes.ts`). */
  bytes: Uint8Array;
  /** With fused operators, for other providers. */
  fusedBytes(): Uint8Array;
  /** The same network for a provider whose kernels of them are not to be relied on. */
  basicBytes(): Uint8Array;
  /** Nodes that run on the CPU whatever the device. */
  cpuNodes: readonly string[];
  inputs: readonly ValueInfo[];
  outputs: readonly ValueInfo[];
  memory: MemoryNeed;
  /** Folder that the locations of the external data are relative to: the root of the file system, or a file's own. */
  externalDataFolder: string;
  /** Where it was published as a whole, and not built here. */
  file?: string;
}

/** A graph's output `name` has this name inside it: in ONNX an input and an output of one name are one value. */
export function outputName(name: string): string {
  return `output/${name}`;
}

/** A network that can be loaded: what the folders above hand to `runtime/residency.ts`. */
export interface Network {
  /** Two networks with one key are the same graph over the same weights. Readable, for the log. */
  key: string;
  build(): OnnxModel | Promise<OnnxModel>;
}

/** A value's type and shape as text for messages: `float32 [2, 4, 64, 64]`. */
export function describe(value: { type: TensorType; dims: readonly number[] }): string {
  return `${value.type} [${value.dims.map((dim) => (dim === anySize ? '?' : dim)).join(', ')}]`;
}
