import { detectorFile, embedderFile } from '../../src/faces/antelopev2.ts';
import { float32, type Tensor } from '../../src/math/tensor.ts';
import type { ValueInfo } from '../../src/onnx/model.ts';
import type { Residency } from '../../src/runtime/residency.ts';
import type { Session } from '../../src/runtime/session.ts';

export interface GivenFace {
  /** In pixels of the picture. */
  bbox: [number, number, number, number];
  kps: [number, number][];
  det_score: number;
}

/** A picture as the detector is asked about it, and who is in it. */
export interface GivenSight {
  faces: readonly GivenFace[];
  width: number;
  height: number;
}

/** One that looks forward, so many pixels wide, and half as much again high. */
export function givenFace(left: number, top: number, width: number, det_score = 0.9): GivenFace {
  return {
    bbox: [left, top, left + width, top + 1.5 * width],
    kps: [
      [left + 0.3 * width, top + 0.5 * width],
      [left + 0.7 * width, top + 0.55 * width],
      [left + 0.5 * width, top + 0.8 * width],
      [left + 0.35 * width, top + 1.1 * width],
      [left + 0.65 * width, top + 1.15 * width],
    ],
    det_score,
  };
}

/** Of the detector: pixels of its square's side, and between two places of its grids. */
const side = 640;
const strides = [8, 16, 32];

/**
 * A residency in which the detector sees given faces, picture after picture, and the embedder always returns the same. What
 * reads the faces off these results is not replaced.
 */
export function givenFaces(
  residency: Residency,
  sights: readonly GivenSight[],
  embedding: Float32Array = new Float32Array(512).fill(1),
): Residency {
  const left = sights.map(detectorSees);
  return {
    ...residency,
    use(network, work, onEvent) {
      if (network.key.startsWith(detectorFile)) return work(standIn(left.shift()!));
      if (network.key.startsWith(embedderFile)) return work(standIn([float32([1, 512], Float32Array.from(embedding))]));
      return residency.use(network, work, onEvent);
    },
  };
}

/** What the detector returns where it sees these faces: scores, boxes and points of two at each place of three grids. */
function detectorSees({ faces, width, height }: GivenSight): Tensor<'float32'>[] {
  const scale = Math.trunc(Math.min(side, (side * height) / width)) / height;
  const outputs = [1, 4, 10].flatMap((values) => strides.map((stride) => float32([2 * (side / stride) ** 2, values])));
  const grid = 1;
  for (const { bbox, kps, det_score } of faces) {
    const inStrides = (value: number): number => (value * scale) / strides[grid]!;
    const [left, top, right, bottom] = bbox.map(inStrides) as GivenFace['bbox'];
    // The nearest place that there is, of one that begins outside of the picture.
    const [x, y] = [left, top].map((value) => Math.max(0, Math.floor(value))) as [number, number];
    const index = 2 * (y * (side / strides[grid]!) + x);
    outputs[grid]!.data[index] = det_score;
    outputs[grid + 3]!.data.set([x - left, y - top, right - x, bottom - y], 4 * index);
    const points = kps.flatMap(([pointX, pointY]) => [inStrides(pointX) - x, inStrides(pointY) - y]);
    outputs[grid + 6]!.data.set(points, 10 * index);
  }
  return outputs;
}

function standIn(outputs: readonly Tensor<'float32'>[]): Session {
  const value = (name: string): ValueInfo => ({ name, type: 'float32', dims: [] });
  return {
    inputs: [value('input')],
    outputs: outputs.map((_, index) => value(String(index))),
    run: async () => Object.fromEntries(outputs.map((output, index) => [String(index), output])),
  };
}
