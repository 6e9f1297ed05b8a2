import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { compare, expectClose } from '../../test/support/expect-close.ts';
import { runNetworkCase } from '../../test/support/network-case.ts';
import { float32, type Tensor } from '../math/tensor.ts';

const folder = fileURLToPath(new URL('../../test/fixtures/networks/', import.meta.url));

/** A few times the largest error measured (docs/numerics.md); the cases themselves promise less. */
const closest = 1e-5;

describe('agrees with the reference on the same weights', async () => {
  test.for(await readdir(folder))('%s', async (name, { annotate }) => {
    const { actual, expected, tolerance } = await runNetworkCase(join(folder, name, 'case.json'));
    expect(Object.keys(actual)).toEqual(Object.keys(expected));
    for (const [output, tensor] of Object.entries(expected)) {
      expect(actual[output]!.dims).toEqual(tensor.dims);
      const [values, reference] = [actual[output]!.data as Float32Array, tensor.data as Float32Array];
      await annotate(`relative L2 error ${compare(values, reference).relL2.toExponential(1)}`);
      expectClose(values, reference, { relL2: Math.min(tolerance.relL2, closest) });
    }
  });
});

test('a ControlNet trained on BGR pictures sees the channels of its condition reversed', async () => {
  const { actual, expected } = await runNetworkCase(join(folder, 'unet-controlnet', 'case.json'), {
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
