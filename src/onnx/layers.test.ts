import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { expectClose } from '../../test/support/expect-close.ts';
import { float32 } from '../math/tensor.ts';
import { openSession } from '../runtime/session.ts';
import { openWeights } from '../weights/scope.ts';
import { writeSafetensors } from '../weights/write-safetensors.ts';
import { createGraph } from './graph.ts';
import { groupNorm } from './layers.ts';
import { writeModel } from './write.ts';

const [batch, groups, perGroup, height, width] = [2, 3, 2, 5, 7];
const channels = groups * perGroup;
const groupSize = perGroup * height * width;

/** Group norm by its definition, in float64. */
function plainGroupNorm(x: Float32Array, weight: Float32Array, bias: Float32Array, epsilon: number): number[] {
  const result: number[] = [];
  for (let first = 0; first < x.length; first += groupSize) {
    const values = [...x.subarray(first, first + groupSize)];
    const mean = values.reduce((sum, value) => sum + value, 0) / groupSize;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / groupSize;
    for (const [index, value] of values.entries()) {
      const channel = Math.floor((first + index) / (height * width)) % channels;
      result.push(((value - mean) / Math.sqrt(variance + epsilon)) * weight[channel]! + bias[channel]!);
    }
  }
  return result;
}

// So small that epsilon decides, and so far from zero that a variance from squares would be rounding alone.
test.each([
  { center: 0, spread: 0.01, epsilon: 1e-4, relL2: 2e-7 },
  { center: 100, spread: 0.25, epsilon: 1e-6, relL2: 1e-4 },
])('group norm around $center, in both ways', async ({ center, spread, epsilon, relL2 }) => {
  const folder = await mkdtemp(join(tmpdir(), 'darkroom-norm-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const ramp = (phase: number) => Float32Array.from({ length: channels }, (_, index) => Math.cos(index + phase));
  const [weight, bias] = [ramp(0), ramp(1)];
  const entry = ({ buffer }: Float32Array<ArrayBuffer>) =>
    ({ dtype: 'F32', shape: [channels], bytes: new Uint8Array(buffer) }) as const;
  const path = join(folder, 'norm.safetensors');
  await writeSafetensors(path, new Map(Object.entries({ weight: entry(weight), bias: entry(bias) })));
  const x = Float32Array.from({ length: batch * groups * groupSize }, (_, i) => center + spread * Math.sin(i * i));

  const g = createGraph('test');
  const dims = [batch, channels, height, width];
  g.output('y', groupNorm(g, await openWeights([path]), g.input('x', 'float32', dims), groups, epsilon));
  const model = writeModel(g);
  for (const bytes of [model.bytes, model.basicBytes()]) {
    const session = await openSession({ ...model, bytes }, 'cpu');
    const { y } = await session.run({ x: float32(dims, x) });
    await session.close();
    expect(y!.dims).toEqual(dims);
    expectClose(y!.data as Float32Array, plainGroupNorm(x, weight, bias, epsilon), { relL2 });
  }
});
