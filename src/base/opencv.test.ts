import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { compare } from '../../test/support/expect-close.ts';
import { readBytes, readSafetensors } from '../weights/safetensors.ts';
import { openCv } from './opencv.ts';
import type { Point, Raster } from './raster.ts';

const folder = fileURLToPath(new URL('../../test/fixtures/opencv/', import.meta.url));
const { tensors } = await readSafetensors(`${folder}arrays.safetensors`);
const cv = await openCv();

interface Case {
  operation: string;
  input: string | null;
  arguments: unknown[];
  output: string;
  /** Computed by a library that takes OpenCV's place where it can. */
  ipp?: true;
}

const cases: Case[] = JSON.parse(readFileSync(`${folder}cases.json`, 'utf8'));
const drawings = ['line', 'circle', 'fillConvexPolygon'];

describe('computes what OpenCV 4.6 does', () => {
  test.each(
    cases.map(
      (found) =>
        [`${found.operation} of ${found.input}, ${JSON.stringify(found.arguments)}`.slice(0, 70), found] as const,
    ),
  )('%s', async (_, found) => {
    const expected = await read(found.output);
    const actual = await run(found);
    expect(sizeOf(actual)).toEqual(sizeOf(expected));
    expect(actual.data.constructor).toBe(expected.data.constructor);
    const { relL2, largest } = compare(actual.data, expected.data);
    if (expected.data instanceof Uint8Array) {
      const differing = expected.data.filter((value, index) => value !== actual.data[index]).length;
      expect(differing / expected.data.length).toBeLessThanOrEqual(differingShare(found));
      expect(largest.difference).toBeLessThanOrEqual(1);
    } else {
      // Vector instructions add in another order: measured 1.6e-7.
      expect(relL2).toBeLessThan(5e-7);
    }
  });
});

/** How many of the bytes may be 1 apart. */
function differingShare({ operation, arguments: given, ipp }: Case): number {
  // Measured 4 %.
  if (ipp) return 0.05;
  // Vector instructions sum bytes as floats, which decides ties otherwise: measured 1 of 18,300.
  if (operation.startsWith('resize') && given.at(-1) === 'cubic') return 0.0002;
  return 0;
}

function sizeOf({ width, height, channels }: Raster): number[] {
  return [width, height, channels];
}

async function read(name: string): Promise<Raster> {
  const tensor = tensors.get(name)!;
  const [height, width, channels] = tensor.shape as [number, number, number];
  const buffer = (await readBytes(tensor)).buffer as ArrayBuffer;
  const types = { U8: Uint8Array, F32: Float32Array, F64: Float64Array };
  return { width, height, channels, data: new types[tensor.dtype as keyof typeof types](buffer) };
}

async function run({ operation, input, arguments: given }: Case): Promise<Raster> {
  const call = cv[operation as keyof typeof cv] as unknown as (...given: unknown[]) => unknown;
  if (input === null) {
    const points = call(...given) as Point[];
    return {
      width: 2,
      height: points.length,
      channels: 1,
      data: Float64Array.from(points.flatMap(({ x, y }) => [x, y])),
    };
  }
  const picture = await read(input);
  if (!drawings.includes(operation)) return call(picture, ...given) as Raster;
  for (const shape of given) call(picture, ...(shape as unknown[]));
  return picture;
}

test('a mistake says what OpenCV says of it', () => {
  const grey = { width: 2, height: 3, channels: 1, data: new Uint8Array(6) };
  expect(() => cv.resize(grey, 0, 3, 'area')).toThrow(/OpenCV failed: .*resize/);
  expect(() => cv.sobel({ ...grey, data: new Float32Array(5) }, 1, 0)).toThrow(
    '2 × 3 pixels of 1 channels are not 5 values',
  );
});
