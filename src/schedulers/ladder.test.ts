import { expect, test } from 'vitest';
import { alphasCumprod, stableDiffusionNoise } from '../math/noise-schedule.ts';
import { eulerLadder, solverLadder } from './ladder.ts';

const alphas = alphasCumprod(stableDiffusionNoise);
const leading = { alphas, spacing: 'leading', offset: 1, final: 'zero' } as const;
const linspace = { alphas, spacing: 'linspace', offset: 1, final: 'sigma_min' } as const;

/** Published to six digits. */
function expectSigmas(actual: readonly number[], expected: readonly number[]) {
  for (const [index, value] of expected.entries()) expect(actual[index]! - value).toBeCloseTo(0, 4.7);
}

test('the ladder of Euler spreads over the whole table, fractions included', () => {
  const { timesteps, sigmas } = eulerLadder({ ...linspace, final: 'zero', steps: 20 });
  expect(timesteps.length).toBe(20);
  expect([timesteps[0], timesteps[19]]).toEqual([999, 0]);
  expect(timesteps[1]).toBeCloseTo(946.421, 3);
  expectSigmas(
    sigmas,
    [
      14.61465, 10.74685, 8.08154, 6.20495, 4.85567, 3.86538, 3.12377, 2.55717, 2.11566, 1.76483, 1.48058, 1.24582,
      1.04814, 0.87843, 0.72972, 0.59644, 0.47359, 0.35555, 0.23217, 0.02917, 0,
    ],
  );
});

test('the leading ladder of Euler takes entries of the table', () => {
  const { timesteps, sigmas } = eulerLadder({ ...leading, steps: 20 });
  expect(timesteps).toEqual(Array.from({ length: 20 }, (_, index) => 951 - 50 * index));
  expectSigmas(sigmas, [11.02834, 8.39069, 6.5064, 5.13443, 4.1167, 3.34776]);
  expectSigmas(sigmas.slice(-3), [0.22815, 0.04131, 0]);
});

test('solvers leave the smallest timestep to the end of the run', () => {
  const { timesteps, sigmas } = solverLadder({ ...linspace, steps: 20 });
  expect(timesteps).toEqual([
    999, 949, 899, 849, 799, 749, 699, 649, 599, 549, 500, 450, 400, 350, 300, 250, 200, 150, 100, 50,
  ]);
  expectSigmas(sigmas.slice(-1), [0.02917]);
  const ten = solverLadder({ ...leading, steps: 10 });
  expect(ten.timesteps).toEqual([901, 811, 721, 631, 541, 451, 361, 271, 181, 91]);
  expectSigmas(
    ten.sigmas,
    [8.39069, 5.37634, 3.63065, 2.55766, 1.85856, 1.37618, 1.02393, 0.75151, 0.52698, 0.32353, 0],
  );
});

test('a solver visits no timestep twice: 1000 steps are 999, as in diffusers 0.15.1', () => {
  const { timesteps } = solverLadder({ ...linspace, steps: 1000 });
  expect(timesteps).toEqual(Array.from({ length: 999 }, (_, index) => 999 - index));
});

test('a Karras ladder of a solver spans the table, and its timesteps are whole', () => {
  const { timesteps, sigmas } = solverLadder({ ...leading, karras: {}, steps: 10 });
  expect(timesteps).toEqual([999, 916, 815, 687, 523, 327, 146, 41, 7, 0]);
  expectSigmas(sigmas, [14.61465, 9.10294, 5.4784, 3.16861, 1.74942, 0.91408, 0.44692, 0.2014, 0.08191, 0.02917, 0]);
});

test('a Karras ladder of Euler stays between the ends of the base ladder', () => {
  const { timesteps, sigmas } = eulerLadder({ ...leading, karras: {}, steps: 10 });
  expectSigmas([sigmas[0]!, sigmas[9]!], [8.39069, 0.04131]);
  expect(timesteps.some((timestep) => !Number.isInteger(timestep))).toBe(true);
});
