import { float32, type Tensor } from '../math/tensor.ts';
import { readTensor } from '../weights/read-tensor.ts';
import { readBytes, readSafetensors, type TensorRef } from '../weights/safetensors.ts';
import type { Tensors } from './network.ts';

/** All tensors of a file of a case. @throws WeightError naming the file and its fault */
export async function readTensors(path: string): Promise<Tensors> {
  const { tensors } = await readSafetensors(path);
  const read = [...tensors].map(async ([name, tensor]) => [name, await readCaseTensor(tensor)] as const);
  return Object.fromEntries(await Promise.all(read));
}

/** Also the types that weights never have, but results of a program: doubles are rounded, flags become numbers. */
async function readCaseTensor(tensor: TensorRef): Promise<Tensor> {
  const { dtype, shape: dims } = tensor;
  switch (dtype) {
    case 'F64': {
      const { buffer } = await readBytes(tensor);
      return float32(dims, Float32Array.from(new Float64Array(buffer)));
    }
    case 'BOOL':
    case 'U8':
      return { type: 'int64', dims, data: BigInt64Array.from(await readBytes(tensor), BigInt) };
    default:
      return readTensor(tensor);
  }
}
