import { WeightError } from '../base/errors.ts';
import { float8Tables, isFloat8 } from '../math/float8.ts';
import { float32, sizeOf, type Tensor, type TensorType } from '../math/tensor.ts';
import type { TensorRef } from '../weights/safetensors.ts';
import { describe, type ValueInfo } from './model.ts';
import { dataTypes } from './proto.ts';

/** What an op takes and returns. Its shape is known while the graph is built, and nothing changes it later. */
export type Value = Readonly<ValueInfo>;

export type Attribute = { float: number } | { integer: number } | { text: string } | { integers: readonly number[] };

export interface Node {
  name: string;
  op: string;
  /** `ai.onnx` is the empty text. */
  domain: string;
  /** Names of values; empty where an optional input is left out. */
  inputs: readonly string[];
  output: string;
  /** What the output takes in memory; nothing where it is the input under another name. */
  bytes: number;
  attributes: Readonly<Record<string, Attribute>>;
  /** Runs on the CPU whatever the device. */
  onCpu: boolean;
  /** The way of computing that this node belongs to; `undefined` is both. */
  way: Way | undefined;
}

/** With one operator for much, which is faster where a provider has it right, or with simple ones. */
export type Way = 'fused' | 'basic';

/** A value known beforehand: in a weight file, or small and inside the graph. */
export interface Initializer {
  name: string;
  type: TensorType | 'bfloat16';
  dims: readonly number[];
  content: TensorRef | Uint8Array;
}

type Stored = Pick<Initializer, 'name' | 'type' | 'dims'>;

export interface NodeResult {
  dims: readonly number[];
  /** Of the first input unless given. */
  type?: TensorType;
}

export interface NodeOptions {
  domain?: string;
  attributes?: Readonly<Record<string, Attribute>>;
  onCpu?: boolean;
}

/** A graph being built. Calling an op of `ops.ts` on it is the forward pass. */
export interface Graph {
  readonly name: string;
  readonly inputs: readonly Value[];
  readonly outputs: readonly { name: string; value: Value }[];
  readonly nodes: readonly Node[];
  readonly initializers: readonly Initializer[];
  input(name: string, type: TensorType, dims: readonly number[]): Value;
  output(name: string, value: Value): void;
  /** Equal constants become one. */
  constant(tensor: Tensor): Value;
  /** A tensor of a weight file as float32, read as `dims` where another shape of the same bytes is wanted. */
  weight(tensor: TensorRef, dims?: readonly number[]): Value;
  node(op: string, inputs: readonly (Value | undefined)[], result: NodeResult, options?: NodeOptions): Value;
  /** The same value computed in two ways, of which a provider gets one. */
  either(ways: Readonly<Record<Way, () => Value>>): Value;
}

const weightTypes: Partial<Record<TensorRef['dtype'], Initializer['type']>> = {
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  F8_E4M3: 'uint8',
  F8_E5M2: 'uint8',
};

const elementBytes: Readonly<Record<TensorType, number>> = {
  float32: 4,
  float16: 2,
  int32: 4,
  int64: 8,
  uint8: 1,
  bool: 1,
};
const renamings: ReadonlySet<string> = new Set(['Reshape', 'Identity']);

export function createGraph(name: string): Graph {
  const inputs: Value[] = [];
  const outputs: { name: string; value: Value }[] = [];
  const nodes: Node[] = [];
  const initializers: Initializer[] = [];
  const constants = new Map<string, Value>();
  const names = new Set<string>();
  /** The layer whose weight was used last: nodes are named after it, so that an error says where it is. */
  let place = name;
  let way: Way | undefined;

  const unique = (wish: string): string => {
    let found = wish;
    for (let count = 2; names.has(found); count++) found = `${wish}#${count}`;
    names.add(found);
    return found;
  };

  const node: Graph['node'] = (op, nodeInputs, { dims, type = nodeInputs[0]!.type }, options = {}) => {
    if (!dims.every((dim) => Number.isSafeInteger(dim) && dim > 0)) {
      throw new RangeError(`${op} after ${place} would have the shape [${dims.join(', ')}].`);
    }
    const output = unique(`${place}/${op}`);
    const { domain = '', attributes = {}, onCpu = false } = options;
    const inputNames = nodeInputs.map((value) => value?.name ?? '');
    const bytes = renamings.has(op) ? 0 : sizeOf(dims) * elementBytes[type];
    nodes.push({ name: output, op, domain, inputs: inputNames, output, bytes, attributes, onCpu, way });
    return { name: output, type, dims };
  };

  const cast = (value: Value, type: TensorType): Value =>
    node('Cast', [value], { dims: value.dims, type }, { attributes: { to: { integer: dataTypes[type] } } });

  /** The CPU kernels compute in float32; for other providers this is where half weights would stay half. */
  const asFloat32 = ({ name: stored, type, dims }: Stored, dtype: TensorRef['dtype']): Value => {
    if (type === 'float32') return { name: stored, type, dims };
    if (!isFloat8(dtype)) return cast({ name: stored, type: 'float16', dims }, 'float32');
    // The opset has no type of eight bits, and so each byte is looked up; ONNX Runtime does it when it loads the graph.
    const table = graph.constant(float32([256], float8Tables[dtype]));
    return node('Gather', [table, cast({ name: stored, type: 'uint8', dims }, 'int32')], { dims });
  };

  /**
   * A weight whose axes lie in another order in its file. ONNX Runtime does this once, when it loads the graph: the shape
   * keeps it from making the order a part of the product that follows, whose last bits would be others.
   */
  const inOwnOrder = (value: Value, tensor: TensorRef, axes: readonly number[], dims: readonly number[]): Value => {
    const permutation = tensor.shape.map((_, axis) => axes.indexOf(axis));
    const attributes = { perm: { integers: permutation } };
    const transposed = node('Transpose', [value], { dims: tensor.shape }, { attributes });
    const shape = graph.constant({ type: 'int64', dims: [dims.length], data: BigInt64Array.from(dims, BigInt) });
    return node('Reshape', [transposed, shape], { dims });
  };

  const graph: Graph = {
    name,
    inputs,
    outputs,
    nodes,
    initializers,
    node,
    either(ways) {
      const build = (chosen: Way): Value => {
        way = chosen;
        const value = ways[chosen]();
        way = undefined;
        return value;
      };
      const value = build('fused');
      const last = build('basic');
      // What follows knows the value by one name.
      const renaming = {
        name: last.name,
        op: 'Identity',
        domain: '',
        inputs: [last.name],
        output: value.name,
        bytes: 0,
      };
      nodes.push({ ...renaming, name: unique(`${value.name}/basic`), attributes: {}, onCpu: false, way: 'basic' });
      return value;
    },
    input(inputName, type, dims) {
      const value = { name: unique(inputName), type, dims };
      inputs.push(value);
      return value;
    },
    output(outputName, value) {
      outputs.push({ name: outputName, value });
    },
    constant({ type, dims, data }) {
      const content = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      const key = `${describe({ type, dims })} ${Buffer.from(content).toString('base64')}`;
      let value = constants.get(key);
      if (!value) {
        value = { name: unique('constant'), type, dims };
        constants.set(key, value);
        initializers.push({ name: value.name, type, dims, content });
      }
      return value;
    },
    weight(tensor, dims = tensor.shape) {
      const type = weightTypes[tensor.dtype];
      if (!type) throw new WeightError(`The tensor "${tensor.name}" of ${tensor.file} has the type ${tensor.dtype}.`);
      if (sizeOf(dims) !== sizeOf(tensor.shape)) {
        throw new RangeError(`"${tensor.name}" [${tensor.shape.join(', ')}] cannot be read as [${dims.join(', ')}].`);
      }
      place = tensor.name.slice(0, Math.max(0, tensor.name.lastIndexOf('.'))) || tensor.name;
      const stored = tensor.axes?.map((axis) => tensor.shape[axis]!) ?? dims;
      const initializer = { name: unique(tensor.name), type, dims: stored, content: tensor };
      initializers.push(initializer);
      const value = asFloat32({ name: initializer.name, type, dims: stored }, tensor.dtype);
      return tensor.axes ? inOwnOrder(value, tensor, tensor.axes, dims) : value;
    },
  };
  return graph;
}
