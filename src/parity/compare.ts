import type { Tensor } from '../math/tensor.ts';

/** How far one output of a case is from what was expected. */
export interface OutputError {
  /** Name of the expected tensor. */
  output: string;
  /** The largest difference of two values. */
  maxAbs: number;
  /** Length of the difference, relative to the length of what was expected. */
  relL2: number;
}

/** Of every expected tensor. A NaN or a value where zero was expected makes the error NaN or infinite. */
export function compareTensors(
  actual: Readonly<Record<string, Tensor>>,
  expected: Readonly<Record<string, Tensor>>,
): OutputError[] {
  return Object.entries(expected).map(([output, { data }]) => ({ output, ...distance(actual[output]!.data, data) }));
}

type Numbers = ArrayLike<number | bigint>;

export function distance(actual: Numbers, expected: Numbers): Omit<OutputError, 'output'> {
  let maxAbs = 0;
  let difference = 0;
  let length = 0;
  for (let index = 0; index < expected.length; index++) {
    const gap = Math.abs(Number(actual[index]) - Number(expected[index]));
    // NaN is neither smaller nor larger than anything: once met, it stays.
    if (gap > maxAbs || Number.isNaN(gap)) maxAbs = gap;
    difference += gap ** 2;
    length += Number(expected[index]) ** 2;
  }
  return { maxAbs, relL2: difference === 0 ? 0 : Math.sqrt(difference / length) };
}
