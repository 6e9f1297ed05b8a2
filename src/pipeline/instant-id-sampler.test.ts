/** Configurations of bases against the original's choice and diffusers 0.25.0: test/fixtures/pipelines/instant-id-schedules/. */
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { expectClose } from '../../test/support/expect-close.ts';
import { instantIdSampler } from './instant-id-sampler.ts';
import { readSchedulerConfig } from './scheduler-file.ts';

interface Run {
  base: string;
  scheduler: string;
  /** `null` where the original fails, or leaves the numbers. */
  end: number[] | null;
}

const file = new URL('../../test/fixtures/pipelines/instant-id-schedules/schedules.json', import.meta.url);
const { steps, bases, runs } = JSON.parse(readFileSync(file, 'utf8')) as {
  steps: number;
  bases: Record<string, object>;
  runs: Run[];
};

const home = await mkdtemp(join(tmpdir(), 'darkroom-schedules-'));
afterAll(() => rm(home, { recursive: true }));

/** As repositories have it: Python's JSON knows an infinite number. */
async function configOf(base: string) {
  const folder = join(home, base);
  await mkdir(join(folder, 'scheduler'), { recursive: true });
  const text = JSON.stringify(bases[base]).replaceAll('"-Infinity"', '-Infinity');
  await writeFile(join(folder, 'scheduler', 'scheduler_config.json'), text);
  return await readSchedulerConfig(folder);
}

/** With a formula in place of a network. */
async function endOf(scheduler: string, config: Awaited<ReturnType<typeof configOf>>): Promise<Float32Array> {
  const { initialNoise, sample } = instantIdSampler(scheduler, config, steps);
  let draws = 0;
  return await sample({
    latents: Float32Array.of(-1.5, -0.5, 0.5, 1.5).map((value) => value * initialNoise),
    denoise: async (input, timestep) => input.map((value) => 0.8 * Math.tanh(value) + 0.05 * Math.cos(0.01 * timestep)),
    drawNoise(count) {
      const first = 4 * draws++;
      return Float32Array.from({ length: count }, (_, index) => Math.sin(first + index + 1));
    },
    onStep() {},
    signal: { throwIfAborted() {} },
  });
}

/** Of what the original fails at, or ends at infinite numbers with: the key, and the file that it stands in. */
const refusals: Record<string, RegExp> = {
  DEISMultistepScheduler: /algorithm_type is "sde-dpmsolver\+\+"/,
  LCMScheduler:
    /prediction_type is "epsilon"; timestep 999 holds no signal .rescale_betas_zero_snr.*scheduler\/scheduler_config\.json.*clip_sample/,
};

/** Measured: 3.2e-6, where noise is drawn at each step; 5.0e-7 elsewhere. */
test.each(runs)('$scheduler of a base with $base', async ({ base, scheduler, end }) => {
  const config = await configOf(base);
  if (end) expectClose(await endOf(scheduler, config), end, { relL2: 1e-5 });
  else await expect(endOf(scheduler, config)).rejects.toThrow(refusals[scheduler]);
});
