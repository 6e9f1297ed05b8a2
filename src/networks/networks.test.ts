import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { checkCase } from '../parity/case.ts';
import { readTensors } from '../parity/case-tensors.ts';
import { type TensorToWrite, writeSafetensors } from '../weights/write-safetensors.ts';

const folder = fileURLToPath(new URL('../../test/fixtures/networks/', import.meta.url));

/** A few times the largest error measured (docs/numerics.md); the cases themselves promise less. */
const closest = 1e-5;

describe('agrees with the reference on the same weights', async () => {
  test.for(await readdir(folder))('%s', async (name, { annotate }) => {
    const { errors, tolerance } = await checkCase(join(folder, name), 'cpu');
    expect(errors).not.toEqual([]);
    for (const { output, relL2 } of errors) {
      await annotate(`${output}: relative L2 error ${relL2.toExponential(1)}`);
      expect(relL2, output).toBeLessThan(Math.min(tolerance, closest));
    }
  });
});

test('a ControlNet trained on BGR pictures sees the channels of its condition reversed', async () => {
  const copy = await mkdtemp(join(tmpdir(), 'darkroom-bgr-'));
  onTestFinished(() => rm(copy, { recursive: true }));
  for (const name of ['unet', 'unet-controlnet']) await cp(join(folder, name), join(copy, name), { recursive: true });
  const found = join(copy, 'unet-controlnet');

  const config = join(found, 'controlnet-config.json');
  const json = JSON.parse(await readFile(config, 'utf8'));
  await writeFile(config, JSON.stringify({ ...json, controlnet_conditioning_channel_order: 'bgr' }));
  const inputs = join(found, 'inputs.safetensors');
  const reversed = Object.entries(await readTensors(inputs)).map(([name, { dims, data }]): [string, TensorToWrite] => {
    const values = Float32Array.from(data, Number);
    if (name === 'controlnet_cond.0') reverseChannels(values, dims);
    return [name, { dtype: 'F32', shape: dims, bytes: new Uint8Array(values.buffer) }];
  });
  await writeSafetensors(inputs, new Map(reversed));

  const { errors } = await checkCase(found, 'cpu');
  expect(errors[0]!.relL2).toBeLessThan(closest);
});

/** Of one picture, in place. [1, C, H, W] */
function reverseChannels(values: Float32Array, dims: readonly number[]): void {
  const size = dims[2]! * dims[3]!;
  const planes = Array.from({ length: dims[1]! }, (_, channel) => values.slice(channel * size, (channel + 1) * size));
  for (const [channel, plane] of planes.toReversed().entries()) values.set(plane, channel * size);
}
