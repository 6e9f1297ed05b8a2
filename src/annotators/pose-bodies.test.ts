import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { expectSamePixels } from '../../test/support/expect-same-pixels.ts';
import { recordedHeader, weightsOfHeader } from '../../test/support/recorded-header.ts';
import { readImage } from '../base/image.ts';
import type { Tensor } from '../math/tensor.ts';
import { readTensors } from '../parity/case-tensors.ts';
import { openposeConfig, openposeModel } from './openpose.ts';
import { findBodies, type PoseMaps } from './pose-bodies.ts';
import { type Body, drawBodies } from './pose-drawing.ts';

const folder = fileURLToPath(new URL('../../test/fixtures/annotators/pose/', import.meta.url));

interface MapCase {
  maps: string;
  picture: string;
  height: number;
  width: number;
  peaks: [x: number, y: number, score: number][];
  people: { parts: number[]; score: number; count: number }[];
}

const mapCases: MapCase[] = JSON.parse(await readFile(`${folder}maps.json`, 'utf8'));

async function readMaps({ maps, height, width }: MapCase): Promise<PoseMaps> {
  const { paf, heatmap } = (await readTensors(folder + maps)) as Record<'paf' | 'heatmap', Tensor>;
  const scaled = { width: Math.round((width * 184) / height), height: 184 };
  return { paf: single(paf), heatmap: single(heatmap), scaled };
}

/** As float32. */
function single({ dims, data }: Tensor): Tensor<'float32'> {
  return { type: 'float32', dims, data: Float32Array.from(data as Float32Array) };
}

describe('in the same maps the same bodies are found as by the original, and drawn alike:', () => {
  test.each(mapCases)('$picture', async (found) => {
    const bodies = await findBodies(await readMaps(found), found, 'cubic');
    const expected = found.people.map(
      ({ parts }): Body =>
        parts.map((id) => {
          if (id < 0) return undefined;
          const [x, y] = found.peaks[id]!;
          return { x, y };
        }),
    );
    expect(bodies.map((body) => body.map((point) => point && { x: point.x, y: point.y }))).toEqual(expected);
    expectSamePixels(await drawBodies(bodies, found.width, found.height), await readImage(folder + found.picture));
  });
});

test('every tensor of the published file is used once', () => {
  const weights = weightsOfHeader(recordedHeader('openpose-body'), 'openpose-body');
  const config = openposeConfig(weights);
  expect(config).toEqual({
    levels: [64, 128, 256, 512],
    narrowed: 256,
    features: 128,
    hidden: 128,
    wide: 512,
    stages: 6,
  });
  const model = openposeModel({ config, weights }, { height: 184, width: 256 });
  expect(model.outputs).toEqual([
    { name: 'paf', type: 'float32', dims: [1, 38, 23, 32] },
    { name: 'heatmap', type: 'float32', dims: [1, 19, 23, 32] },
  ]);
});
