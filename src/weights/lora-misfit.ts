/** Whether a change of `lora-change.ts` can be made to the tensor of a layer: types and shapes. */
import { isFloat8 } from '../math/float8.ts';
import { type Factored, type Form, isFactored, tensorsOf } from './lora-change.ts';
import type { TensorRef } from './safetensors.ts';

export interface Misfit {
  tensor: TensorRef;
  /** What is wrong with it: `has the shape [2, 3], and [2, 4] is needed` */
  problem: string;
}

/** @param shape of the tensor that is changed */
export function misfitOf(form: Form, shape: readonly number[]): Misfit | undefined {
  const wrongType = tensorsOf(form).find((tensor) => !isFloat(tensor));
  if (wrongType) return { tensor: wrongType, problem: `has the type ${wrongType.dtype}` };
  for (const { tensor, needed, exactly } of needsOf(form, shape)) {
    const fits = exactly ? isSame(tensor.shape, needed) : isSame(asMatrix(tensor.shape), asMatrix(needed));
    const problem = `has the shape [${tensor.shape.join(', ')}], and [${needed.join(', ')}] is needed`;
    if (!fits) return { tensor, problem };
  }
  // ComfyUI looks for a second axis, and leaves such a layer as it was.
  if (form.kind === 'glora' && shape.length < 2)
    return { tensor: form.a1, problem: 'is not for the weights of a norm' };
  const core = coresOf(form).find((tensor) => tensor.shape[0]! > largestRank);
  return core && { tensor: core, problem: `has a rank of ${core.shape[0]}, above the limit of ${largestRank}` };
}

/** They are divided by lengths [1, in, …] and multiplied with weights [out, in, …], as arrays of PyTorch are. */
export function magnitudesFit(magnitudes: TensorRef, shape: readonly number[]): boolean {
  const wanted = shape.slice(-magnitudes.shape.length || shape.length);
  // What has one axis has no lengths of inputs.
  if (!isFloat(magnitudes) || shape.length < 2 || magnitudes.shape.length > shape.length) return false;
  return magnitudes.shape.every((side, axis) => side === 1 || side === wanted[axis]);
}

function isFloat({ dtype }: TensorRef): boolean {
  return ['F16', 'BF16', 'F32'].includes(dtype) || isFloat8(dtype);
}

/** Above that of every trainer: products with cores have rank * in * h * w numbers, whatever the layer's size. */
const largestRank = 4096;

function coresOf(form: Form): TensorRef[] {
  if (form.kind === 'lora') return form.middle ? [form.middle] : [];
  if (form.kind !== 'loha' && form.kind !== 'lokr') return [];
  return [form.first, form.second].flatMap((factor) => (isFactored(factor) && factor.core ? [factor.core] : []));
}

interface Need {
  tensor: TensorRef;
  needed: readonly number[];
  /** Else the axes after the first count as one: they are flattened before they are multiplied. */
  exactly?: true;
}

function needsOf(form: Form, shape: readonly number[]): Need[] {
  if (form.kind === 'difference') return [{ tensor: form.difference, needed: shape, exactly: true }];
  const [out = 1, inside = 1, ...kernel] = shape;
  const across = [inside, ...kernel];
  switch (form.kind) {
    case 'lora': {
      const { up, down, middle } = form;
      const rank = rankIn(down);
      return [
        { tensor: down, needed: middle ? [rank, inside] : [rank, ...across] },
        ...(middle ? [{ tensor: middle, needed: [rank, rank, ...square(kernel)], exactly: true } as const] : []),
        { tensor: up, needed: [out, rank] },
      ];
    }
    case 'loha':
      return [...needsOfFactored(form.first, out, across), ...needsOfFactored(form.second, out, across)];
    case 'lokr': {
      const { first, second } = form;
      const [rows = 1, columns = 1] = isFactored(first) ? [first.a.shape[0], first.b.shape[1]] : first.shape;
      const rest = [inside / columns, ...kernel];
      return [
        ...(isFactored(first)
          ? needsOfFactored(first, rows, [columns])
          : [{ tensor: first, needed: [rows, columns], exactly: true } as const]),
        ...(isFactored(second)
          ? needsOfFactored(second, out / rows, rest)
          : [{ tensor: second, needed: [out / rows, ...rest] }]),
      ];
    }
    case 'glora': {
      const { a1, a2, b1, b2 } = form;
      const ranks = [rankIn(a1), rankIn(b1)] as const;
      return [
        { tensor: a1, needed: [ranks[0], ...across] },
        { tensor: a2, needed: [across.reduce((product, side) => product * side, 1), ranks[0]] },
        { tensor: b1, needed: [ranks[1], ...across] },
        { tensor: b2, needed: [out, ranks[1]] },
      ];
    }
  }
}

function needsOfFactored({ a, b, core }: Factored, rows: number, [columns = 1, ...kernel]: readonly number[]): Need[] {
  if (!core) {
    const rank = rankIn(b);
    return [
      { tensor: b, needed: [rank, columns, ...kernel] },
      { tensor: a, needed: [rows, rank] },
    ];
  }
  const [first = 1, second = 1] = core.shape.map((side) => Math.max(1, side));
  return [
    { tensor: core, needed: [first, second, ...square(kernel)], exactly: true },
    { tensor: b, needed: [second, columns] },
    { tensor: a, needed: [first, rows] },
  ];
}

/** Never nought, which would fit any other nought. */
function rankIn({ shape: [rank = 1] }: TensorRef): number {
  return Math.max(1, rank);
}

/** Cores of matrices are 1x1. */
function square(kernel: readonly number[]): readonly number[] {
  return kernel.length === 0 ? [1, 1] : kernel;
}

function asMatrix([rows = 1, ...rest]: readonly number[]): readonly number[] {
  return [rows, rest.reduce((product, side) => product * side, 1)];
}

function isSame(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((side, axis) => side === b[axis]);
}
