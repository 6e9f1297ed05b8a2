import type { NormalStream } from './random.ts';
import { wrapSeed } from './random.ts';
import { seedSequence } from './seed-sequence.ts';

/**
 * A Brownian motion that can be asked for its increment between any two times and always answers the same for one
 * seed, whatever was asked before: torchsde's `BrownianTree`, as k-diffusion's noise sampler uses it. After
 * https://github.com/google-research/torchsde/blob/v0.2.6/torchsde/_brownian/brownian_interval.py#L140-L420 and
 * https://github.com/crowsonkb/k-diffusion/blob/v0.1.1/k_diffusion/sampling.py#L65-L114
 *
 * Intervals are halved until a time asked for is one of their ends; each half's increment follows from its parent's and
 * normal values that are seeded by the place in the tree (the Brownian bridge). Arithmetic is torch's, in float32, so
 * with the same normal values the increments are equal bit for bit.
 *
 * Not here: Lévy areas, trees that are split where they are asked, batches of seeds.
 */
export interface BrownianTreeOptions {
  /** The interval that can be asked for; other times are moved to its ends. */
  start: number;
  end: number;
  seed: number | bigint;
  /** Values per increment: independent motions side by side. */
  count: number;
  /** The stream of normal values of a seed: `cpuNormals` or `cudaNormals`. */
  normals(seed: number): NormalStream;
}

interface Interval {
  start: number;
  end: number;
  /** Place in its row of the tree, from the left, and the row. */
  place: number;
  depth: number;
  parent: Interval | undefined;
  halves: [Interval, Interval] | undefined;
}

/** torchsde's, so that the same seeds come out. */
const poolSize = 24;
/** Increments that are kept for the next question, which shares most of its path with the last one. */
const keptIncrements = 128;

/** `tree(a, b)` is the increment from the time a to the later time b. */
export function brownianTree(options: BrownianTreeOptions): (from: number, to: number) => Float32Array {
  const { start, end, count, normals } = options;
  const entropy = wrapSeed(options.seed);
  const root: Interval = {
    start: roundToMillionth(start),
    end: roundToMillionth(end),
    place: 0,
    depth: 0,
    parent: undefined,
    halves: undefined,
  };
  const [rootSeed] = seedSequence(entropy, { poolSize, words: 1 }) as unknown as [number];
  const whole = scale(normals(rootSeed).normal(count), Math.sqrt(end - start));
  const increments = new Map<Interval, Float32Array>();

  function increment(interval: Interval): Float32Array {
    if (interval === root) return whole;
    const known = increments.get(interval);
    if (known) {
      // The order of a Map is that of insertion, so the first entry is the one that was used longest ago.
      increments.delete(interval);
      increments.set(interval, known);
      return known;
    }
    const parent = interval.parent!;
    const [left, right] = parent.halves!;
    const [first, second] = bridge(parent, increment(parent));
    increments.set(left, first).set(right, second);
    while (increments.size > keptIncrements) increments.delete(increments.keys().next().value!);
    return interval === left ? first : second;
  }

  /** The increments of both halves, from that of the whole. */
  function bridge(parent: Interval, sum: Float32Array): [Float32Array, Float32Array] {
    const middle = parent.halves![0].end;
    const left = middle - parent.start;
    const right = parent.end - middle;
    const reciprocal = 1 / (parent.end - parent.start);
    const [seed] = seedSequence(entropy, { path: [parent.place, parent.depth], poolSize, words: 1 });
    const noise = normals(seed!).normal(count);
    const share = Math.fround(left);
    const factor = Math.fround(reciprocal);
    const deviation = Math.fround(Math.sqrt(left * right * reciprocal));
    const first = sum.map((value, index) => {
      const mean = Math.fround(Math.fround(share * value) * factor);
      return mean + Math.fround(deviation * noise[index]!);
    });
    return [first, sum.map((value, index) => value - first[index]!)];
  }

  return (from, to) => {
    const inside = (time: number) => roundToMillionth(Math.min(Math.max(time, root.start), root.end));
    const [a, b] = [inside(from), inside(to)];
    const sum = new Float32Array(count);
    if (a === b) return sum;
    for (const interval of cover(root, a, b)) {
      const part = increment(interval);
      for (let index = 0; index < count; index++) sum[index] = sum[index]! + part[index]!;
    }
    return sum;
  };
}

/** The noise of a step from `sigma` down to `next`, of unit variance. */
export function brownianNoise(tree: (from: number, to: number) => Float32Array) {
  return (sigma: number, next: number): Float32Array => {
    const deviation = Math.fround(Math.sqrt(Math.fround(sigma - next)));
    // The motion runs towards larger sigmas, the sampler the other way.
    return tree(next, sigma).map((value) => -value / deviation);
  };
}

/** The intervals between two times, from left to right; splits what is too large. */
function cover(interval: Interval, from: number, to: number): Interval[] {
  if (from === interval.start && to === interval.end) return [interval];
  interval.halves ??= halve(interval);
  const [left, right] = interval.halves;
  if (to <= left.end) return cover(left, from, to);
  if (from >= left.end) return cover(right, from, to);
  return [...cover(left, from, left.end), ...cover(right, left.end, to)];
}

function halve(parent: Interval): [Interval, Interval] {
  const { start, end } = parent;
  const middle = roundToMillionth(0.5 * (end + start));
  const half = (side: 0 | 1): Interval => ({
    start: side === 0 ? start : middle,
    end: side === 0 ? middle : end,
    place: 2 * parent.place + side,
    depth: parent.depth + 1,
    parent,
    halves: undefined,
  });
  return [half(0), half(1)];
}

/** As Python's `round(value, 6)`: the exact value decides, and a tie goes to the even digit. */
function roundToMillionth(value: number): number {
  // Binary fractions that lie exactly between two millionths are odd multiples of 1/128.
  const ties = value * 128;
  if (Number.isInteger(ties) && ties % 2 !== 0) {
    const floor = Math.floor(value * 1e6);
    return (floor % 2 === 0 ? floor : floor + 1) / 1e6;
  }
  return Number(value.toFixed(6));
}

function scale(values: Float32Array, factor: number): Float32Array {
  const single = Math.fround(factor);
  return values.map((value) => value * single);
}
