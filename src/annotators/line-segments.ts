/**
 * Line segments from M-LSD's maps, after huggingface/controlnet_aux v0.0.3 `mlsd/utils.py` (`pred_lines`,
 * `deccode_output_score_and_ptss`).
 */
import type { Point } from '../base/raster.ts';
import type { Tensor } from '../math/tensor.ts';

export interface LineSegment {
  from: Point;
  to: Point;
}

/** Most segments of a picture. */
const limit = 200;

const scoreThreshold = 0.1;
/** In pixels of the maps. */
const lengthThreshold = 0.1;

/**
 * @param maps [1, C, H, W]: how much a pixel looks like the centre of a segment, then where from there the segment begins
 *   (x, y) and ends (x, y); what follows has no use
 * @returns segments in pixels of a picture of twice the maps' size
 */
export function findLineSegments({ dims, data }: Tensor<'float32'>): LineSegment[] {
  const [, , height, width] = dims as [number, number, number, number];
  const size = height * width;
  const scores = peaks(data.subarray(0, size).map(sigmoid), width);
  const segments: LineSegment[] = [];
  for (const index of largest(scores, limit)) {
    const [x, y] = [index % width, Math.floor(index / width)];
    const [startX, startY, endX, endY] = [1, 2, 3, 4].map((channel) => data[channel * size + index]!) as Four<number>;
    const length = distance(startX - endX, startY - endY);
    if (!(scores[index]! > scoreThreshold && length > lengthThreshold)) continue;
    const from = { x: 2 * (x + startX), y: 2 * (y + startY) };
    const to = { x: 2 * (x + endX), y: 2 * (y + endY) };
    if (isNear(from) && isNear(to)) segments.push({ from, to });
  }
  return segments;
}

/** Whether it can be drawn: of damaged weights, ends may lie anywhere. */
function isNear({ x, y }: Point): boolean {
  return Math.max(Math.abs(x), Math.abs(y)) < 2 ** 31;
}

type Four<Item> = [Item, Item, Item, Item];

/** In float32 at each step, so that scores are equal where the reference's are. */
function sigmoid(x: number): number {
  return 1 / Math.fround(1 + Math.fround(Math.exp(-x)));
}

/** In float32 at each step, for the same reason. */
function distance(x: number, y: number): number {
  const [dx, dy] = [Math.fround(x), Math.fround(y)];
  return Math.fround(Math.sqrt(Math.fround(Math.fround(dx * dx) + Math.fround(dy * dy))));
}

/** The scores that none of the eight neighbours exceeds, and 0 elsewhere. */
function peaks(scores: Float32Array, width: number): Float32Array {
  const height = scores.length / width;
  const kept = new Float32Array(scores.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const score = scores[y * width + x]!;
      let isPeak = true;
      for (let row = Math.max(0, y - 1); row <= Math.min(height - 1, y + 1); row++) {
        for (let column = Math.max(0, x - 1); column <= Math.min(width - 1, x + 1); column++) {
          if (scores[row * width + column]! > score) isPeak = false;
        }
      }
      if (isPeak) kept[y * width + x] = score;
    }
  }
  return kept;
}

/**
 * Indices of the `count` largest values, in no order. Which of equal ones are among them follows from how the reference
 * goes through a heap, `torch.topk` by way of `std::partial_sort`: on a blank picture all scores are equal.
 * https://github.com/pytorch/pytorch/blob/v2.0.0/aten/src/ATen/native/TopKImpl.h#L42-L60
 * https://github.com/gcc-mirror/gcc/blob/releases/gcc-12.2.0/libstdc++-v3/include/bits/stl_heap.h#L222-L261
 */
function largest(values: Float32Array, count: number): number[] {
  const heap = Array.from({ length: Math.min(count, values.length) }, (_, index) => index);
  const isLarger = (a: number, b: number): boolean => values[a]! > values[b]!;

  /** Puts an index in the place of `hole`; the smallest value comes to the front. */
  function settle(hole: number, index: number): void {
    const top = hole;
    let child = hole;
    while (child < Math.trunc((heap.length - 1) / 2)) {
      child = 2 * (child + 1);
      if (isLarger(heap[child]!, heap[child - 1]!)) child--;
      heap[hole] = heap[child]!;
      hole = child;
    }
    if (heap.length % 2 === 0 && child === (heap.length - 2) / 2) {
      child = 2 * child + 1;
      heap[hole] = heap[child]!;
      hole = child;
    }
    for (let parent = (hole - 1) >> 1; hole > top && isLarger(heap[parent]!, index); parent = (hole - 1) >> 1) {
      heap[hole] = heap[parent]!;
      hole = parent;
    }
    heap[hole] = index;
  }

  for (let parent = Math.trunc((heap.length - 2) / 2); parent >= 0; parent--) settle(parent, heap[parent]!);
  for (let index = heap.length; index < values.length; index++) {
    if (isLarger(index, heap[0]!)) settle(0, index);
  }
  return heap;
}
