/** Where the parts of bodies are: the maxima of a heat map, as huggingface/controlnet_aux v0.0.3 `open_pose/body.py` finds them. */
import type { Point, Raster } from '../base/raster.ts';

export interface Peak extends Point {
  /** The heat map's value there, before it is blurred. */
  score: number;
}

/** Below it, a blurred value is no part. */
const leastHeat = 0.1;

/**
 * More parts of one kind fit into no picture of this size. Maps of a network that has learned nothing may be flat, and
 * then every pixel of them is a maximum.
 */
const mostPeaks = 1000;

/**
 * Row by row, the pixels that no neighbour above, below or beside exceeds once the map is blurred. Where there are too
 * many, the strongest.
 */
export function findPeaks(heat: Raster<Float32Array>): Peak[] {
  const { width, height, data } = heat;
  const warm = findWarmth(heat);
  const peaks: Peak[] = [];
  // Three rows are all that is needed at a time; outside of the map there are zeros.
  let above: Float64Array = new Float64Array(width);
  let row = blurredRow(heat, warm, 0);
  for (let y = 0; y < height; y++) {
    const below = y + 1 < height ? blurredRow(heat, warm, y + 1) : new Float64Array(width);
    for (let x = 0; x < width; x++) {
      const value = row[x]!;
      if (!(value > leastHeat && value >= above[x]! && value >= below[x]!)) continue;
      if (!(value >= (row[x - 1] ?? 0) && value >= (row[x + 1] ?? 0))) continue;
      peaks.push({ x, y, score: data[y * width + x]! });
    }
    above = row;
    row = below;
  }
  if (peaks.length <= mostPeaks) return peaks;
  const strongest = new Set(peaks.toSorted((a, b) => b.score - a.score).slice(0, mostPeaks));
  return peaks.filter((peak) => strongest.has(peak));
}

/** Of each row, the first and the last place where there may be heat; `first` is beyond `last` where there is none. */
interface Warmth {
  first: Int32Array;
  last: Int32Array;
}

function findWarmth({ width, height, data }: Raster<Float32Array>): Warmth {
  const first = new Int32Array(height).fill(width);
  const last = new Int32Array(height).fill(-1);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      // What is not a number spreads; and sums of many weights may be a little more than they are in truth.
      if (data[y * width + x]! <= 0.99 * leastHeat) continue;
      if (first[y] === width) first[y] = x;
      last[y] = x;
    }
  }
  return { first, last };
}

/**
 * One side of scipy 1.10.1's `_gaussian_kernel1d(3, 0, 12)` from its middle, to the last bit: on a flat top the rounding
 * decides which pixel is the peak, and `Math.exp` rounds in its own way.
 */
const gaussian = [
  0.1329845385507837, 0.12579798346031065, 0.1064856940272447, 0.08065919989878699, 0.054671578245654065,
  0.033159988420867426, 0.017997500190860553, 0.008740878047691292, 0.003798769940305483, 0.0014773247784004072,
  0.0005141076058219727, 0.00016009476589197758, 4.4611342772648797e-5,
];
const radius = gaussian.length - 1;

/**
 * A row of the map after `scipy.ndimage.gaussian_filter(map, sigma=3)`: in double precision, along columns first, summed
 * from the outermost pair inward onto the middle
 * (https://github.com/scipy/scipy/blob/v1.10.1/scipy/ndimage/src/ni_filters.c#L171-L180). Zero where no warmth is in
 * reach, which in most maps is nearly everywhere: no average of such values is a peak.
 */
function blurredRow({ width, height, data }: Raster<Float32Array>, { first, last }: Warmth, y: number): Float64Array {
  const blurred = new Float64Array(width);
  let start = width;
  let end = -1;
  for (let near = Math.max(0, y - radius); near <= Math.min(height - 1, y + radius); near++) {
    start = Math.min(start, first[near]! - radius);
    end = Math.max(end, last[near]! + radius);
  }
  if (end < start) return blurred;
  const from = Math.max(0, start - radius);
  const to = Math.min(width - 1, end + radius);

  const columns = new Float64Array(width + 2 * radius);
  for (let x = from; x <= to; x++) columns[radius + x] = data[y * width + x]! * gaussian[0]!;
  for (let distance = radius; distance > 0; distance--) {
    const weight = gaussian[distance]!;
    const before = mirrored(y - distance, height) * width;
    const after = mirrored(y + distance, height) * width;
    for (let x = from; x <= to; x++) columns[radius + x]! += (data[before + x]! + data[after + x]!) * weight;
  }
  for (let distance = 1; distance <= radius; distance++) {
    columns[radius - distance] = columns[radius + mirrored(-distance, width)]!;
    columns[radius + width - 1 + distance] = columns[radius + mirrored(width - 1 + distance, width)]!;
  }
  for (let x = Math.max(0, start); x <= Math.min(width - 1, end); x++) {
    const center = radius + x;
    let sum = columns[center]! * gaussian[0]!;
    for (let distance = radius; distance > 0; distance--) {
      sum += (columns[center - distance]! + columns[center + distance]!) * gaussian[distance]!;
    }
    blurred[x] = sum;
  }
  return blurred;
}

/** The place inside that stands for one outside: `dcba|abcd|dcba`. */
function mirrored(place: number, length: number): number {
  const period = 2 * length;
  const inPeriod = ((place % period) + period) % period;
  return inPeriod < length ? inPeriod : period - 1 - inPeriod;
}
