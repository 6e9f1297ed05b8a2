import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { expectClose } from '../../test/support/expect-close.ts';
import type { Tensor } from '../math/tensor.ts';
import { readTensors } from '../parity/case-tensors.ts';
import { comfyKarrasLadder } from '../schedulers/comfy-ladder.ts';
import { latentsFromMoments } from './latents.ts';

const recorded = (await readTensors(
  fileURLToPath(new URL('../../test/fixtures/latents/latents.safetensors', import.meta.url)),
)) as Record<'moments' | 'noise' | 'sample' | 'mode' | 'latent' | 'start' | 'start_greatest', Tensor<'float32'>>;

// Each value is rounded to float32 once here, and after every operation in torch.
const tolerance = { relL2: 2e-7 };

test('latents are drawn from the moments as by diffusers, within its limits of the variance', () => {
  const drawn = latentsFromMoments(recorded.moments, recorded.noise.data, 1);
  expect(drawn.dims).toEqual([2, 4, 3, 5]);
  expectClose(drawn.data, recorded.sample.data, tolerance);
});

test('without noise latents are the mean, times the scaling factor', () => {
  expect(latentsFromMoments(recorded.moments, undefined, 1)).toEqual(recorded.mode);
  const scaled = latentsFromMoments(recorded.moments, undefined, 0.25);
  expect(scaled.data).toEqual(recorded.mode.data.map((value) => value / 4));
});

test('image-to-image starts as in ComfyUI, with more noise at the greatest sigma', () => {
  const { latent, noise, start, start_greatest } = recorded;
  for (const [denoise, expected] of [
    [0.65, start],
    [1, start_greatest],
  ] as const) {
    const { noiseScale } = comfyKarrasLadder(17, denoise);
    const begun = latent.data.map((value, index) => value + noise.data[index]! * noiseScale);
    // The recorded sigmas have six digits.
    expectClose(begun, expected.data, { relL2: 4e-7 });
  }
});
