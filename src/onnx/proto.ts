/**
 * Writing of the protobuf encoding, and the field numbers of the ONNX messages that graphs here consist of (onnx/onnx,
 * onnx/onnx.proto3). `proto-reader.ts` reads it.
 */

/** A message, or one field of it: fields are messages laid end to end. */
export type Encoded = Uint8Array;

const varintType = 0;
const lengthType = 2;
const fixed32Type = 5;

export function integer(field: number, value: number | bigint): Encoded {
  return Uint8Array.from([...varint(key(field, varintType)), ...varint(value)]);
}

export function float(field: number, value: number): Encoded {
  const bytes = new Uint8Array(new Float32Array([value]).buffer);
  return Uint8Array.from([...varint(key(field, fixed32Type)), ...bytes]);
}

export function bytes(field: number, value: Uint8Array): Encoded {
  return concat([Uint8Array.from([...varint(key(field, lengthType)), ...varint(value.byteLength)]), value]);
}

export function text(field: number, value: string): Encoded {
  return bytes(field, Buffer.from(value));
}

export function message(field: number, fields: readonly Encoded[]): Encoded {
  return bytes(field, concat(fields));
}

export function concat(parts: readonly Encoded[]): Encoded {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let position = 0;
  for (const part of parts) {
    whole.set(part, position);
    position += part.byteLength;
  }
  return whole;
}

/** Seven bits a byte, lowest first; negative numbers as their 64-bit two's complement. */
function varint(value: number | bigint): number[] {
  const groups: number[] = [];
  // Nearly every number is small; bigints would take most of the time that a graph takes to write.
  let rest = value;
  if (typeof rest === 'number' && (rest < 0 || rest > 0x7fffffff)) rest = BigInt(rest);
  if (typeof rest === 'number') {
    for (; rest > 0x7f; rest >>>= 7) groups.push((rest & 0x7f) | 0x80);
    groups.push(rest);
    return groups;
  }
  rest = BigInt.asUintN(64, rest);
  for (; rest > 0x7fn; rest >>= 7n) groups.push(Number(rest & 0x7fn) | 0x80);
  groups.push(Number(rest));
  return groups;
}

function key(field: number, wireType: number): number {
  return (field << 3) | wireType;
}

export const modelFields = { irVersion: 1, producerName: 2, graph: 7, opsetImport: 8, functions: 25 } as const;
export const opsetFields = { domain: 1, version: 2 } as const;
export const graphFields = { node: 1, name: 2, initializer: 5, input: 11, output: 12, sparseInitializer: 15 } as const;
export const nodeFields = { input: 1, output: 2, name: 3, opType: 4, attribute: 5, domain: 7 } as const;
export const attributeFields = {
  name: 1,
  float: 2,
  integer: 3,
  text: 4,
  tensor: 5,
  graph: 6,
  integers: 8,
  tensors: 10,
  graphs: 11,
  type: 20,
  sparseTensor: 22,
  sparseTensors: 23,
} as const;
export const attributeTypes = { float: 1, integer: 2, text: 3, integers: 7 } as const;
export const tensorFields = { dims: 1, dataType: 2, name: 8, rawData: 9, externalData: 13, dataLocation: 14 } as const;
export const entryFields = { key: 1, value: 2 } as const;
export const valueFields = { name: 1, type: 2 } as const;
/** `TypeProto.tensor_type`, `TypeProto.Tensor.elem_type` and `.shape`, `TensorShapeProto.dim`, `Dimension.dim_value`. */
export const typeFields = { tensorType: 1, elementType: 1, shape: 2, dim: 1, dimValue: 1 } as const;
/** `TensorProto.DataType`. */
export const dataTypes = { float32: 1, uint8: 2, int32: 6, int64: 7, bool: 9, float16: 10, bfloat16: 16 } as const;
export const externalLocation = 1;
