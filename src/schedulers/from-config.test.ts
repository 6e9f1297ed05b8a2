/**
 * Whole runs with a network that answers what it is given, so that scaling, levels and the numbers of calls and draws
 * all show in the result. The expected values were computed with diffusers 0.11.1, 0.15.1, 0.25.0 and 0.29.0 on a CPU
 * in float32; they are published to six decimals.
 */
import { expect, test } from 'vitest';
import { alphasCumprod, stableDiffusionNoise, trainingSigmas } from '../math/noise-schedule.ts';
import { dpmSolver } from './dpm-solver.ts';
import { type Sampler, type SamplerRequest, samplerFromConfig } from './from-config.ts';
import { atTrainingSteps, solverLadder } from './ladder.ts';
import type { SamplerRun } from './sampler.ts';

const base = {
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: 'scaled_linear',
  set_alpha_to_one: false,
  skip_prk_steps: true,
  steps_offset: 1,
  clip_sample: false,
};
const sdxl = { ...base, timestep_spacing: 'leading' };
/** What 0.15 did without a choice, and where its solvers ended. */
const linspace = { ...base, timestep_spacing: 'linspace', final_sigmas_type: 'sigma_min' };
const sigmaMin = { ...sdxl, final_sigmas_type: 'sigma_min' };
const linear = { beta_start: 0.00085, beta_end: 0.012, beta_schedule: 'linear', steps_offset: 1, clip_sample: false };
const karras = { use_karras_sigmas: true };
const sde = { algorithm_type: 'sde-dpmsolver++' };

const ddim = 'DDIMScheduler';
const pndm = 'PNDMScheduler';
const lcm = 'LCMScheduler';
const dpm = 'DPMSolverMultistepScheduler';
const uniPc = 'UniPCMultistepScheduler';
const deis = 'DEISMultistepScheduler';
const euler = 'EulerDiscreteScheduler';
const ancestral = 'EulerAncestralDiscreteScheduler';
const heun = 'HeunDiscreteScheduler';
const lms = 'LMSDiscreteScheduler';

async function watch(sample: Sampler['sample'], initialNoise: number) {
  let calls = 0;
  let draws = 0;
  const steps: number[] = [];
  const run: SamplerRun = {
    latents: Float32Array.of(-1.5, -0.5, 0.5, 1.5).map((value) => value * initialNoise),
    async denoise(input, timestep) {
      calls++;
      return input.map((value) => 0.8 * Math.tanh(value) + 0.05 * Math.cos(0.01 * timestep));
    },
    drawNoise(count) {
      const first = 4 * draws++;
      return Float32Array.from({ length: count }, (_, index) => Math.sin(first + index + 1));
    },
    onStep: (step) => steps.push(step),
    signal: { throwIfAborted: () => {} },
  };
  return { result: await sample(run), calls, draws, steps };
}

/** Half of the last published digit, and the reference's own float32. */
function expectPublished(actual: Float32Array, expected: readonly number[]) {
  for (const [index, value] of expected.entries()) {
    expect(Math.abs(actual[index]! - value), `value ${index}`).toBeLessThan(1e-6 + 1.2e-6 * Math.abs(value));
  }
}

type Published = [name: string, config: object, steps: number, expected: number[]];

const once: Published[] = [
  [ddim, base, 20, [-7.972872, -0.656068, 0.742721, 8.346638]],
  [ddim, base, 10, [-6.196471, -0.606355, 0.658891, 6.396941]],
  [ddim, base, 1, [-1.492456, -0.496332, 0.495118, 1.491242]],
  [ddim, linear, 25, [-14.325947, -0.871383, 1.037071, 15.07057]],
  [ddim, linear, 10, [-10.404181, -0.789933, 0.878932, 10.766596]],
  [ddim, linear, 1, [-1.47338, -0.487195, 0.483056, 1.469241]],
  [ddim, linear, 100, [-16.946814, -0.914214, 1.123091, 17.944458]],
  [dpm, linspace, 20, [-10.407347, -0.729099, 0.828979, 10.989022]],
  [dpm, linspace, 10, [-10.44561, -0.700743, 0.85709, 11.083467]],
  [dpm, linspace, 1, [-10.79117, -1.31584, 2.547015, 12.022347]],
  [dpm, sigmaMin, 30, [-8.396523, -0.67014, 0.717554, 8.731526]],
  [dpm, sigmaMin, 10, [-6.18817, -0.592878, 0.594754, 6.281416]],
  [dpm, sdxl, 30, [-8.373611, -0.647566, 0.698848, 8.715055]],
  [dpm, sdxl, 10, [-6.168364, -0.580077, 0.579836, 6.259859]],
  [dpm, { ...sigmaMin, ...karras }, 30, [-10.3736, -0.706637, 0.827161, 10.975261]],
  [dpm, { ...sigmaMin, ...karras }, 10, [-10.398426, -0.68889, 0.775352, 10.976192]],
  [dpm, { ...sdxl, ...karras }, 30, [-10.356136, -0.694196, 0.810212, 10.955136]],
  [dpm, { ...sdxl, ...karras }, 10, [-10.380973, -0.676704, 0.759055, 10.956067]],
  [uniPc, linspace, 20, [-10.383818, -0.706153, 0.828432, 10.984589]],
  [uniPc, linspace, 10, [-10.429588, -0.699669, 0.839544, 11.041705]],
  [uniPc, sigmaMin, 20, [-7.55284, -0.638832, 0.663555, 7.773334]],
  [uniPc, sdxl, 20, [-7.534146, -0.626355, 0.64759, 7.751878]],
  [deis, sdxl, 30, [-8.394818, -0.665102, 0.720343, 8.740663]],
  [deis, sdxl, 10, [-6.190296, -0.595859, 0.604334, 6.298668]],
  [lms, linspace, 20, [-10.359785, -0.700335, 0.83168, 10.963331]],
  [lms, linspace, 10, [-10.460682, -0.735512, 0.893343, 11.088375]],
  [lms, sdxl, 20, [-7.95379, -0.641265, 0.690957, 8.255721]],
];

test.each(once)('%s, %o, %i steps: as published, one network run and no noise per step', async (...published) => {
  const [name, config, steps, expected] = published;
  const { initialNoise, sample } = samplerFromConfig(name, { ...config }, { steps });
  const run = await watch(sample, initialNoise);
  expectPublished(run.result, expected);
  expect(run).toMatchObject({ calls: steps, draws: 0 });
  expect(run.steps).toEqual(Array.from({ length: steps + 1 }, (_, step) => step));
});

const noisy: Published[] = [
  [ancestral, { ...base, timestep_spacing: 'linspace' }, 20, [-0.814805, 0.031935, 0.167691, 1.656651]],
  [ancestral, { ...base, timestep_spacing: 'linspace' }, 10, [-2.012494, -0.051781, 0.266815, 3.257741]],
  [ancestral, sdxl, 20, [-0.771548, 0.011179, 0.159449, 1.2251]],
  [euler, { ...base, timestep_spacing: 'linspace' }, 20, [-10.375017, -0.710464, 0.890573, 11.046586]],
  [euler, { ...base, timestep_spacing: 'linspace' }, 10, [-10.459868, -0.737624, 0.993739, 11.185826]],
  [euler, sdxl, 20, [-7.954388, -0.644297, 0.72677, 8.325397]],
  [euler, sdxl, 30, [-8.2502, -0.650084, 0.727833, 8.632532]],
  [euler, sdxl, 1, [-1.473429, -0.487218, 0.483087, 1.469297]],
  [euler, sdxl, 2, [-1.708769, -0.381423, 0.332233, 1.658423]],
  [dpm, { ...sigmaMin, ...karras, ...sde }, 30, [-0.313004, -0.020835, 0.055938, 0.516246]],
  [dpm, { ...sigmaMin, ...karras, ...sde }, 10, [-0.000813, -0.012253, -0.017164, 0.038134]],
  [dpm, { ...sdxl, ...karras, ...sde }, 30, [-0.307521, -0.021817, 0.0532, 0.503928]],
  [dpm, { ...sdxl, ...karras, ...sde }, 10, [-0.002253, -0.013431, -0.018229, 0.035803]],
];

test.each(noisy)('%s, %o, %i steps: as published, one draw per step', async (name, config, steps, expected) => {
  const { initialNoise, sample } = samplerFromConfig(name, { ...config }, { steps });
  const run = await watch(sample, initialNoise);
  expectPublished(run.result, expected);
  expect(run).toMatchObject({ calls: steps, draws: steps });
});

test('DDIM with eta draws at every step', async () => {
  const run = await watch(samplerFromConfig(ddim, base, { steps: 20, eta: 1 }).sample, 1);
  expectPublished(run.result, [-0.7604, 0.023042, 0.153962, 1.219076]);
  expect(run).toMatchObject({ calls: 20, draws: 20 });
});

test.each([
  [20, linspace, [-10.313204, -0.690834, 0.800145, 10.898463]],
  [10, linspace, [-10.344313, -0.68498, 0.760197, 10.869838]],
  [1, linspace, [-0.04419, -0.015702, 0.012785, 0.041273]],
  [10, sdxl, [-6.177604, -0.594396, 0.560983, 6.18324]],
  [30, sdxl, [-8.236889, -0.645936, 0.690457, 8.549555]],
])('Heun takes %i steps with two network runs in all but the last', async (steps, config, expected) => {
  const { initialNoise, sample } = samplerFromConfig(heun, config, { steps });
  const run = await watch(sample, initialNoise);
  expectPublished(run.result, expected);
  expect(run).toMatchObject({ calls: 2 * steps - 1, draws: 0 });
  expect(run.steps).toEqual(Array.from({ length: steps + 1 }, (_, step) => step));
});

test.each([
  [20, [-7.942638, -0.647726, 0.687442, 8.222853]],
  [10, [-6.186227, -0.608098, 0.565266, 6.17758]],
])('PNDM takes %i steps and repeats the first', async (steps, expected) => {
  const run = await watch(samplerFromConfig(pndm, sdxl, { steps }).sample, 1);
  expectPublished(run.result, expected);
  expect(run).toMatchObject({ calls: steps + 1, draws: 0 });
  expect(run.steps).toEqual(Array.from({ length: steps + 1 }, (_, step) => step));
});

test.each([
  [4, [-3.465617, -0.147495, 0.183346, 4.794278]],
  [5, [-1.444915, 0.218409, 0.227614, 2.686964]],
  [8, [0.033467, 0.191501, 0.141433, 0.061682]],
])('LCM takes %i steps and draws between them', async (steps, expected) => {
  const run = await watch(samplerFromConfig(lcm, sdxl, { steps }).sample, 1);
  expectPublished(run.result, expected);
  expect(run).toMatchObject({ calls: steps, draws: steps - 1 });
});

test('one step of diffusers 0.15 begins with the noise of the whole table', async () => {
  const largest = trainingSigmas(alphasCumprod(stableDiffusionNoise)).at(-1)!;
  // 0.15 has no choice of the final sigma and ends without noise.
  const ends = samplerFromConfig(euler, { ...linspace, final_sigmas_type: 'zero' }, { steps: 1 });
  expectPublished((await watch(ends.sample, largest)).result, [-21.900095, -7.285448, 7.282531, 21.897179]);
});

test('a Karras ladder of diffusers 0.15 is one of training steps', async () => {
  const alphas = alphasCumprod(stableDiffusionNoise);
  const karrasLadder = solverLadder({
    alphas,
    steps: 20,
    spacing: 'linspace',
    offset: 0,
    karras: {},
    final: 'sigma_min',
  });
  const options = {
    prediction: 'epsilon',
    algorithm: 'dpmsolver++',
    order: 2,
    solver: 'midpoint',
    lowerOrderFinal: true,
    eulerAtFinal: false,
  } as const;
  const ladder = atTrainingSteps(karrasLadder, alphas);
  expect(ladder.timesteps).toEqual([
    999, 962, 921, 876, 827, 772, 710, 640, 561, 474, 380, 285, 197, 123, 69, 35, 15, 6, 2, 0,
  ]);
  const run = await watch((given) => dpmSolver(ladder, options, given), 1);
  expectPublished(run.result, [-10.37624, -0.704731, 0.82131, 10.975484]);
});

test.each([
  [euler, 20, 11.073581],
  [euler, 30, 11.520334],
  [euler, 1, 1.000853],
  [ancestral, 20, 11.073581],
  [lms, 20, 11.073581],
  [heun, 10, 8.450067],
  [dpm, 30, 1],
  [lcm, 4, 1],
])('%s with %i steps begins with %d times the noise', (name, steps, expected) => {
  expect(samplerFromConfig(name, sdxl, { steps }).initialNoise).toBeCloseTo(expected, 6);
});

test('with other spacings the sigma samplers begin at the largest sigma', () => {
  expect(samplerFromConfig(euler, linspace, { steps: 20 }).initialNoise).toBeCloseTo(14.614647, 6);
  expect(samplerFromConfig(heun, linspace, { steps: 1 }).initialNoise).toBeCloseTo(0.029168, 6);
});

test.each<[string, object, RegExp]>([
  ['DDPMScheduler', {}, /"DDPMScheduler" is not supported; use one of DDIMScheduler/],
  [ddim, { thresholding: true }, /thresholding is true; .*use false/],
  [ddim, { prediction_type: 'flow' }, /prediction_type is "flow"; use "epsilon" or "v_prediction" or "sample"/],
  [ddim, { beta_schedule: 'exp' }, /beta_schedule is "exp"/],
  [ddim, { beta_schedule: 'sigmoid' }, /beta_schedule is "sigmoid"/],
  [ddim, { trained_betas: [0.1, 0.2] }, /trained_betas is \[0.1,0.2\]; it must hold num_train_timesteps values, 1000/],
  [ddim, { trained_betas: 'none' }, /trained_betas is "none"; use a list of numbers/],
  [ddim, { steps_offset: 0.5 }, /steps_offset is 0.5; use a whole number/],
  [ddim, { clip_sample: 'yes' }, /clip_sample is "yes"; use true or false/],
  [ddim, { beta_start: null }, /beta_start is null; use a number/],
  [ddim, { timestep_spacing: 'even' }, /timestep_spacing is "even"/],
  [ddim, { use_flow_sigmas: true }, /"use_flow_sigmas" is not a key/],
  [pndm, { prediction_type: 'sample' }, /prediction_type is "sample"/],
  [ancestral, { prediction_type: 'sample' }, /prediction_type is "sample"/],
  [euler, { interpolation_type: 'cubic' }, /interpolation_type is "cubic"/],
  [euler, { timestep_type: 'continuous', prediction_type: 'v_prediction' }, /timestep_type is "continuous"/],
  [euler, { final_sigmas_type: 'none' }, /final_sigmas_type is "none"/],
  [dpm, { use_lu_lambdas: true }, /use_lu_lambdas is true/],
  [dpm, { lambda_min_clipped: -5.1 }, /lambda_min_clipped is -5.1; .*use -Infinity/],
  [dpm, { variance_type: 'learned' }, /variance_type is "learned"/],
  [dpm, { algorithm_type: 'dpmsolver' }, /final_sigmas_type is "zero"; dpmsolver cannot end without noise/],
  [dpm, { algorithm_type: 'ddim' }, /algorithm_type is "ddim"/],
  [dpm, { ...sde, solver_order: 3 }, /solver_order is 3; sde-dpmsolver\+\+ has orders 1 and 2/],
  [dpm, { solver_order: 4 }, /solver_order is 4; use a whole number from 1 to 3/],
  [uniPc, { predict_x0: false }, /final_sigmas_type is "zero"/],
  [uniPc, { lower_order_final: false }, /final_sigmas_type is "zero"/],
  [uniPc, { solver_p: {} }, /solver_p is \{\}/],
  [uniPc, { disable_corrector: 3 }, /disable_corrector is 3; use a list of numbers/],
  [deis, sde, /algorithm_type is "sde-dpmsolver\+\+"/],
])('%s refuses %o', (name, config, message) => {
  const make = () => samplerFromConfig(name, { ...base, ...config }, { steps: 20 });
  expect(make).toThrow(expect.objectContaining({ name: 'InputError' }));
  expect(make).toThrow(message);
});

test.each<[string, object]>([
  [
    ancestral,
    { _class_name: euler, skip_prk_steps: true, solver_order: 3, sample_max_value: 1, set_alpha_to_one: false },
  ],
  [dpm, { _class_name: 'DDPMScheduler', variance_type: 'fixed_small', clip_sample: true, clip_sample_range: 0.1 }],
])('%s: keys of other schedulers, which configuration files are full of, change nothing: %o', async (name, extra) => {
  const [plain, full] = [sdxl, { ...sdxl, ...extra }].map((config) => samplerFromConfig(name, config, { steps: 3 }));
  expect((await watch(full!.sample, 1)).result).toEqual((await watch(plain!.sample, 1)).result);
});

test.each<[string, SamplerRequest, RegExp]>([
  [ddim, { steps: 0 }, /steps is 0; ask for a whole number of steps, at least 1/],
  [euler, { steps: 2.5 }, /whole number/],
  [heun, { steps: Number.NaN }, /whole number/],
  [ddim, { steps: 1001 }, /maximal 1000 timesteps/],
  [pndm, { steps: 1001 }, /maximal 1000 timesteps/],
  [euler, { steps: 1001 }, /at most 1000/],
  [dpm, { steps: 1000 }, /at most 999/],
  [lcm, { steps: 51 }, /takes at most 50/],
])('%s refuses %o', (name, request, message) => {
  const make = () => samplerFromConfig(name, sdxl, request);
  expect(make).toThrow(expect.objectContaining({ name: 'InputError', field: 'steps' }));
  expect(make).toThrow(message);
});

test('PNDM with Runge–Kutta steps needs four of them', () => {
  const make = () => samplerFromConfig(pndm, { ...sdxl, skip_prk_steps: false }, { steps: 3 });
  expect(make).toThrow(expect.objectContaining({ name: 'InputError', field: 'steps' }));
});
