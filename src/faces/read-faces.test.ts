/** What made-up outputs of the detector say, against insightface 0.7.3 (`RetinaFace.detect`). */
import { describe, expect, test } from 'vitest';
import { faceCases } from '../../test/support/face-fixtures.ts';
import { RuntimeFailure } from '../base/errors.ts';
import { detectorInput } from './detector-input.ts';
import type { Face } from './face.ts';
import { detectorOutputs, readFaces } from './read-faces.ts';

interface Case {
  name: string;
  /** Of the picture. */
  width: number;
  height: number;
  /** Of the detector's square. */
  size: number;
  /** All other scores are 0. */
  candidates: Candidate[];
  faces: Face[];
}

type Candidate = [grid: number, row: number, score: number, box: number[], points: number[]];

function outputsOf(size: number, candidates: readonly Candidate[]): Float32Array[] {
  const outputs = detectorOutputs(size).map(([count, values]) => new Float32Array(count * values));
  for (const [grid, row, score, box, points] of candidates) {
    outputs[grid]![row] = score;
    outputs[grid + 3]!.set(box, 4 * row);
    outputs[grid + 6]!.set(points, 10 * row);
  }
  return outputs;
}

test.each(faceCases<Case>('readings.json'))('$name', async ({ width, height, size, candidates, faces }) => {
  const picture = { width, height, channels: 3, data: new Uint8Array(3 * width * height) } as const;
  const { scale } = (await detectorInput(picture, size))!;
  expect(readFaces(outputsOf(size, candidates), size, scale)).toEqual(faces);
});

describe('values of a damaged network are refused:', () => {
  const usual: Candidate = [1, 7, 0.9, [1, 2, 3, 4], [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]];
  test.each<[string, Candidate]>([
    ['a score', usual.with(2, Number.NaN) as Candidate],
    ['a side of a box', usual.with(3, [1, 2, Number.NaN, 4]) as Candidate],
    ['an infinite box', usual.with(3, [Number.NEGATIVE_INFINITY, 2, 3, 4]) as Candidate],
    ['a point', usual.with(4, [0, 0, 1, 1, 2, 2, 3, 3, 4, Number.NaN]) as Candidate],
    ['a point beyond any picture', usual.with(4, [0, 0, 1, 1, 2, 1e30, 3, 3, 4, 4]) as Candidate],
  ])('%s', (_, candidate) => {
    const read = () => readFaces(outputsOf(64, [usual.with(1, 3) as Candidate, candidate]), 64, 1);
    expect(read).toThrow(RuntimeFailure);
    expect(read).toThrow(/download antelopev2 again/);
  });
});

test('values for a square of another size are those of another network', () => {
  expect(() => readFaces(outputsOf(64, []), 96, 1)).toThrow(/no places in a picture/);
});

test('a network that sees a face everywhere is read within seconds', () => {
  const outputs = detectorOutputs(640).map(([count, values], index) =>
    new Float32Array(count * values).map((_, at) => (index < 3 ? 0.5 + (at % 1009) / 3000 : 0.1)),
  );
  expect(readFaces(outputs, 640, 1).length).toBeGreaterThan(1000);
});
