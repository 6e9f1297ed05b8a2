/** Element types that cross the border to ONNX Runtime. Half floats are raw bits: Node 20 has no Float16Array. */
export interface TensorData {
  float32: Float32Array;
  float16: Uint16Array;
  int64: BigInt64Array;
  int32: Int32Array;
  uint8: Uint8Array;
  bool: Uint8Array;
}

export type TensorType = keyof TensorData;

/** A dense array in row-major order. */
export interface Tensor<Type extends TensorType = TensorType> {
  readonly type: Type;
  readonly dims: readonly number[];
  readonly data: TensorData[Type];
}

/** Number of elements of a shape. */
export function sizeOf(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

export function float32(
  dims: readonly number[],
  data: Float32Array = new Float32Array(sizeOf(dims)),
): Tensor<'float32'> {
  if (data.length !== sizeOf(dims)) throw new RangeError(`${data.length} values do not fill the shape [${dims}].`);
  return { type: 'float32', dims, data };
}

/** [1] */
export function scalar(value: number): Tensor<'float32'> {
  return float32([1], Float32Array.of(value));
}

/** [rows, …] -> [1, …] */
export function rowOf({ dims, data }: Tensor<'float32'>, row: number): Tensor<'float32'> {
  const length = data.length / dims[0]!;
  return float32([1, ...dims.slice(1)], data.slice(row * length, (row + 1) * length));
}
