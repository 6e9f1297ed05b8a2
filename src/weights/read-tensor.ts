import { WeightError } from '../base/errors.ts';
import { float8sToFloats } from '../math/float8.ts';
import { bfloat16sToFloats, halvesToFloats } from '../math/float16.ts';
import type { Tensor } from '../math/tensor.ts';
import { elementSizes, readBytes, type TensorRef } from './safetensors.ts';

/** Reads a tensor into memory; all floats become float32. @throws WeightError when its type has no use here */
export async function readTensor(reference: TensorRef): Promise<Tensor> {
  const { dtype, shape: dims } = reference;
  const { buffer } = inOwnOrder(await readBytes(reference), reference);
  switch (dtype) {
    case 'F32':
      return { type: 'float32', dims, data: new Float32Array(buffer) };
    case 'F64':
      return { type: 'float32', dims, data: Float32Array.from(new Float64Array(buffer)) };
    case 'F16':
      return { type: 'float32', dims, data: halvesToFloats(new Uint16Array(buffer)) };
    case 'BF16':
      return { type: 'float32', dims, data: bfloat16sToFloats(new Uint16Array(buffer)) };
    case 'F8_E4M3':
    case 'F8_E5M2':
      return { type: 'float32', dims, data: float8sToFloats(new Uint8Array(buffer), dtype) };
    case 'I64':
      return { type: 'int64', dims, data: new BigInt64Array(buffer) };
    case 'I32':
      return { type: 'int32', dims, data: new Int32Array(buffer) };
    default:
      throw new WeightError(
        `The tensor "${reference.name}" of ${reference.file} has the type ${dtype}, which cannot be read here.`,
      );
  }
}

/** The bytes row by row, where the file has the axes in another order. */
export function inOwnOrder(bytes: Uint8Array, { shape, axes, dtype }: TensorRef): Uint8Array<ArrayBuffer> {
  if (!axes) return bytes as Uint8Array<ArrayBuffer>;
  const size = elementSizes[dtype];
  const steps: number[] = [];
  let step = size;
  for (const axis of axes.toReversed()) {
    steps[axis] = step;
    step *= shape[axis]!;
  }
  const ordered = new Uint8Array(bytes.length);
  const place = shape.map(() => 0);
  let from = 0;
  for (let to = 0; to < bytes.length; to += size) {
    for (let index = 0; index < size; index++) ordered[to + index] = bytes[from + index]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += steps[axis]!;
      if (++place[axis]! < shape[axis]!) break;
      from -= steps[axis]! * shape[axis]!;
      place[axis] = 0;
    }
  }
  return ordered;
}
