/** From the maps of OpenPose's network to bodies: huggingface/controlnet_aux v0.0.3 `open_pose/body.py`, `Body.__call__`. */
import { type OpenCv, openCv } from '../base/opencv.ts';
import type { Raster } from '../base/raster.ts';
import type { Tensor } from '../math/tensor.ts';
import { openposeStride } from './openpose.ts';
import type { Body } from './pose-drawing.ts';
import { limbs, partCount } from './pose-parts.ts';
import { findPeaks } from './pose-peaks.ts';
import { assemble, connect } from './pose-people.ts';

export interface PoseMaps {
  /** [1, 38, h, w] */
  paf: Tensor<'float32'>;
  /** [1, 19, h, w] */
  heatmap: Tensor<'float32'>;
  /** Size of what the network saw, without what it was filled up with. */
  scaled: Size;
}

interface Size {
  width: number;
  height: number;
}

/**
 * @param size of the picture that the bodies are wanted in
 * @param interpolation of the maps, when they are enlarged
 */
export async function findBodies(
  maps: PoseMaps,
  size: Size,
  interpolation: EnlargeOptions['interpolation'],
): Promise<Body[]> {
  const cv = await openCv();
  const map = (all: Tensor<'float32'>, channel: number) =>
    enlarge(cv, all, channel, { seen: maps.scaled, size, interpolation });
  const peaks = Array.from({ length: partCount }, (_, part) => findPeaks(map(maps.heatmap, part)));
  const connections = limbs.map(([from, to], limb) => {
    const [a, b] = [peaks[from]!, peaks[to]!];
    if (a.length === 0 || b.length === 0) return [];
    const [across, down] = affinities[limb]!;
    return connect(a, b, { across: map(maps.paf, across), down: map(maps.paf, down) });
  });
  return assemble(peaks, connections).map(({ parts }) => parts.map((place, part) => peaks[part]![place]));
}

/** The channels of `paf` that belong to each limb. */
const affinities: readonly (readonly [number, number])[] = [
  [12, 13],
  [20, 21],
  [14, 15],
  [16, 17],
  [22, 23],
  [24, 25],
  [0, 1],
  [2, 3],
  [4, 5],
  [6, 7],
  [8, 9],
  [10, 11],
  [28, 29],
  [30, 31],
  [34, 35],
  [32, 33],
  [36, 37],
  [18, 19],
  [26, 27],
];

interface EnlargeOptions {
  seen: Size;
  size: Size;
  interpolation: 'cubic' | 'lanczos4';
}

/** One map at the size of the picture: to the scale of what the network saw, without the filling, and then on. */
function enlarge(cv: OpenCv, { dims, data }: Tensor<'float32'>, channel: number, options: EnlargeOptions) {
  const { seen, size, interpolation } = options;
  const [, , rows, columns] = dims as [number, number, number, number];
  const own = data.subarray(channel * rows * columns, (channel + 1) * rows * columns);
  const map = { width: columns, height: rows, channels: 1, data: own };
  const large = cv.resizeBy(map, openposeStride, interpolation);
  return cv.resize(crop(large, seen), size.width, size.height, interpolation);
}

/** The upper left part of a map. */
function crop(map: Raster<Float32Array>, { width, height }: Size): Raster<Float32Array> {
  if (map.width === width && map.height === height) return map;
  const data = new Float32Array(width * height);
  for (let y = 0; y < height; y++) data.set(map.data.subarray(y * map.width, y * map.width + width), y * width);
  return { width, height, channels: 1, data };
}
