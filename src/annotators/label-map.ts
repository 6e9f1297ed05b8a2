/**
 * The label of every pixel of a picture from the coarse logits of a network, as huggingface/transformers v4.29.1 does it
 * with PyTorch: enlarged to the size of the network's input (`UperNetForSemanticSegmentation`), then resized to the
 * picture's (`post_process_semantic_segmentation`), both bilinear, and of each pixel the first of the largest.
 *
 * There, every logit of every pixel is held at once: 30 GB for the largest picture. Here it is two rows of the middle
 * size, and of each square between four of its pixels only the labels that can be the largest somewhere inside.
 */
import type { Tensor } from '../math/tensor.ts';

export interface Size {
  width: number;
  height: number;
}

/**
 * @param logits [1, labels, h, w], at most 256 labels
 * @returns one byte a pixel, `size.width * size.height` of them
 */
export function labelPixels(logits: Tensor<'float32'>, middle: Size, size: Size): Uint8Array {
  const rowOf = enlargedRows(logits, middle);
  const columns = axisOf(middle.width, size.width);
  const rows = axisOf(middle.height, size.height);
  const labels = new Uint8Array(size.width * size.height);
  for (const [top, bottom] of spans(rows)) {
    const upper = rowOf(rows.first[top]!);
    const lower = rowOf(rows.second[top]!);
    for (const [left, right] of spans(columns)) {
      const square = squareBetween(upper, lower, columns.first[left]!, columns.second[left]!);
      for (let y = top; y < bottom; y++) {
        const [below, above] = [rows.share[y]!, rows.rest[y]!];
        for (let x = left; x < right; x++) {
          labels[y * size.width + x] = largestOf(square, columns.share[x]!, columns.rest[x]!, below, above);
        }
      }
    }
  }
  return labels;
}

/** Where the pixels of a resized axis lie between those of the original one. */
interface Axis {
  first: Int32Array;
  second: Int32Array;
  /** Of the second pixel, and of the first one. */
  share: Float32Array;
  rest: Float32Array;
}

/**
 * `area_pixel_compute_source_index` of PyTorch: a scale in float32, positions in float64.
 * https://github.com/pytorch/pytorch/blob/v1.13.0/aten/src/ATen/native/UpSample.h#L259-L283
 */
function axisOf(from: number, to: number): Axis {
  const scale = Math.fround(from / to);
  const axis = {
    first: new Int32Array(to),
    second: new Int32Array(to),
    share: new Float32Array(to),
    rest: new Float32Array(to),
  };
  for (let index = 0; index < to; index++) {
    const position = Math.max(0, scale * (index + 0.5) - 0.5);
    const first = Math.min(Math.trunc(position), from - 1);
    const share = Math.fround(Math.min(position - first, 1));
    axis.first[index] = first;
    axis.second[index] = Math.min(first + 1, from - 1);
    axis.share[index] = share;
    axis.rest[index] = 1 - share;
  }
  return axis;
}

/** Runs of indices that lie between the same two pixels: the first index, and the one after the last. */
function spans({ first }: Axis): [number, number][] {
  const result: [number, number][] = [];
  for (let start = 0, end = 0; start < first.length; start = end) {
    while (end < first.length && first[end] === first[start]) end++;
    result.push([start, end]);
  }
  return result;
}

/** A row of pixels, each with the logits of all labels. */
interface Row {
  values: Float32Array;
  labels: number;
  /** Of each pixel, the label with the largest logit, and by how much no other one reaches it. */
  best: Uint8Array;
  lead: Float32Array;
  /** The largest absolute value. */
  reach: number;
}

/** The rows of the logits when they are enlarged. Rows are asked for from top to bottom, so that the last ones are kept. */
function enlargedRows({ dims, data }: Tensor<'float32'>, size: Size): (y: number) => Row {
  const [, labels, height, width] = dims as [number, number, number, number];
  const columns = axisOf(width, size.width);
  const rows = axisOf(height, size.height);

  const wideRow = keepTwo((y) => {
    const values = new Float32Array(size.width * labels);
    for (let label = 0; label < labels; label++) {
      const start = (label * height + y) * width;
      for (let x = 0; x < size.width; x++) {
        const left = data[start + columns.first[x]!]!;
        const right = data[start + columns.second[x]!]!;
        values[x * labels + label] = blend(columns.rest[x]!, left, columns.share[x]!, right);
      }
    }
    return values;
  });

  return keepTwo((y) => {
    const upper = wideRow(rows.first[y]!);
    const lower = wideRow(rows.second[y]!);
    const values = new Float32Array(upper.length);
    for (let index = 0; index < values.length; index++) {
      values[index] = blend(rows.rest[y]!, upper[index]!, rows.share[y]!, lower[index]!);
    }
    return rankedRow(values, labels);
  });
}

function rankedRow(values: Float32Array, labels: number): Row {
  const width = values.length / labels;
  const best = new Uint8Array(width);
  const lead = new Float32Array(width);
  let reach = 0;
  for (let x = 0; x < width; x++) {
    let first = Number.NEGATIVE_INFINITY;
    let second = Number.NEGATIVE_INFINITY;
    for (let label = 0; label < labels; label++) {
      const value = values[x * labels + label]!;
      reach = Math.max(reach, Math.abs(value));
      if (value > first) {
        second = first;
        first = value;
        best[x] = label;
      } else if (value > second) {
        second = value;
      }
    }
    lead[x] = first - second;
  }
  return { values, labels, best, lead, reach };
}

/** A function that remembers its last two results. */
function keepTwo<Result>(compute: (index: number) => Result): (index: number) => Result {
  const kept = new Map<number, Result>();
  return (index) => {
    const found = kept.get(index);
    if (found !== undefined) return found;
    const result = compute(index);
    if (kept.size === 2) kept.delete(kept.keys().next().value!);
    kept.set(index, result);
    return result;
  };
}

/** a * p + b * q as PyTorch's kernel rounds it: the second product, then the sum with the exact first one. */
function blend(p: number, a: number, q: number, b: number): number {
  return Math.fround(p * a + Math.fround(q * b));
}

/** Four neighbouring pixels. */
interface Square {
  upper: Float32Array;
  lower: Float32Array;
  /** Where the logits of the left and of the right pixels begin. */
  left: number;
  right: number;
  /** The labels that are the largest somewhere between the pixels, and maybe others. In rising order. */
  candidates: readonly number[];
}

function squareBetween(upper: Row, lower: Row, left: number, right: number): Square {
  const { labels } = upper;
  const square = { upper: upper.values, lower: lower.values, left: left * labels, right: right * labels };
  const best = [...new Set([upper.best[left]!, upper.best[right]!, lower.best[left]!, lower.best[right]!])];
  // More than rounding can add to the difference of two logits.
  const margin = 2 ** -20 * Math.max(upper.reach, lower.reach);
  const lead = Math.min(upper.lead[left]!, upper.lead[right]!, lower.lead[left]!, lower.lead[right]!);
  const candidates = best.length === 1 && lead > margin ? best : candidatesIn(square, labels, best, margin);
  return { ...square, candidates };
}

/** The labels that none of the best ones exceeds in all four pixels: those are below it everywhere between them. */
function candidatesIn(
  { upper, lower, left, right }: Omit<Square, 'candidates'>,
  labels: number,
  best: readonly number[],
  margin: number,
): number[] {
  const candidates: number[] = [];
  for (let label = 0; label < labels; label++) {
    const a = upper[left + label]! + margin;
    const b = upper[right + label]! + margin;
    const c = lower[left + label]! + margin;
    const d = lower[right + label]! + margin;
    let isExceeded = false;
    for (const other of best) {
      isExceeded ||=
        upper[left + other]! > a && upper[right + other]! > b && lower[left + other]! > c && lower[right + other]! > d;
    }
    if (!isExceeded) candidates.push(label);
  }
  return candidates;
}

/** The candidate with the largest logit between the pixels, the first of equal ones. */
function largestOf(
  { upper, lower, left, right, candidates }: Square,
  shareRight: number,
  shareLeft: number,
  shareBelow: number,
  shareAbove: number,
): number {
  let best = candidates[0]!;
  if (candidates.length === 1) return best;
  let largest = Number.NEGATIVE_INFINITY;
  for (const label of candidates) {
    const above = blend(shareLeft, upper[left + label]!, shareRight, upper[right + label]!);
    const below = blend(shareLeft, lower[left + label]!, shareRight, lower[right + label]!);
    const value = blend(shareAbove, above, shareBelow, below);
    if (value > largest) {
      largest = value;
      best = label;
    }
  }
  return best;
}
