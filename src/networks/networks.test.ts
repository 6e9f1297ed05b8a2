import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { compare, expectClose } from '../../test/support/expect-close.ts';
import { float32, type Tensor } from '../math/tensor.ts';
import { openNetworkCase } from '../parity/case.ts';
import { type CaseChanges, runNetworkCase } from '../parity/network-case.ts';

const folder = fileURLToPath(new URL('../../test/fixtures/networks/', import.meta.url));

/** A few times the largest error measured (docs/numerics.md); the cases themselves promise less. */
const closest = 1e-5;

async function runCase(name: string, changes: CaseChanges = {}) {
  const path = join(folder, name);
  const found = await openNetworkCase(path);
  return { ...(await runNetworkCase(path, found, { device: 'cpu', changes })), tolerance: found.tolerance.relL2 };
}

describe('agrees with the reference on the same weights', async () => {
  test.for(await readdir(folder))('%s', async (name, { annotate }) => {
    const { actual, expected, tolerance } = await runCase(name);
    expect(Object.keys(actual).sort()).toEqual(Object.keys(expected).sort());
    for (const [output, tensor] of Object.entries(expected)) {
      expect(actual[output]!.dims).toEqual(tensor.dims);
      const [values, reference] = [actual[output]!, tensor].map(({ data }) => Float32Array.from(data, Number)) as [
        Float32Array,
        Float32Array,
      ];
      await annotate(`${output}: relative L2 error ${compare(values, reference).relL2.toExponential(1)}`);
      expectClose(values, reference, { relL2: Math.min(tolerance, closest) });
    }
  });
});

test('a ControlNet trained on BGR pictures sees the channels of its condition reversed', async () => {
  const { actual, expected } = await runCase('unet-controlnet', {
    controlnetConfig: (config) => ({ ...config, conditionOrder: 'bgr' }),
    inputs: (inputs) => ({ ...inputs, 'controlnet_cond.0': withReversedChannels(inputs['controlnet_cond.0']!) }),
  });
  expectClose(actual.sample!.data as Float32Array, expected.sample!.data as Float32Array, { relL2: closest });
});

/** [1, C, H, W] -> [1, C, H, W] */
function withReversedChannels({ dims, data }: Tensor): Tensor {
  const size = dims[2]! * dims[3]!;
  const planes = Array.from({ length: dims[1]! }, (_, channel) => data.slice(channel * size, (channel + 1) * size));
  return float32(dims, Float32Array.from(planes.toReversed().flatMap((plane) => Array.from(plane, Number))));
}
