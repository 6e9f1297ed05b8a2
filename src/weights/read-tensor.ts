import { WeightError } from '../base/errors.ts';
import { bfloat16ToFloat, halfToFloat } from '../math/float16.ts';
import type { Tensor } from '../math/tensor.ts';
import { readBytes, type TensorRef } from './safetensors.ts';

/** Reads a tensor into memory; half floats become float32. @throws WeightError when its type has no use here */
export async function readTensor(reference: TensorRef): Promise<Tensor> {
  const { dtype, shape: dims } = reference;
  const { buffer } = await readBytes(reference);
  switch (dtype) {
    case 'F32':
      return { type: 'float32', dims, data: new Float32Array(buffer) };
    case 'F16':
      return { type: 'float32', dims, data: Float32Array.from(new Uint16Array(buffer), halfToFloat) };
    case 'BF16':
      return { type: 'float32', dims, data: Float32Array.from(new Uint16Array(buffer), bfloat16ToFloat) };
    case 'I64':
      return { type: 'int64', dims, data: new BigInt64Array(buffer) };
    case 'I32':
      return { type: 'int32', dims, data: new Int32Array(buffer) };
    default:
      throw new WeightError(`A tensor of ${reference.file} has the type ${dtype}, which cannot be read here.`);
  }
}
