/**
 * Where DDIM, PNDM and LCM step: from entry to entry of the noise table. They count in ᾱ, the share of the signal's
 * variance, and DDIM and PNDM aim a fixed number of training steps ahead, which is where the next network run takes
 * place with the leading spacing alone.
 */
import { InputError } from '../base/errors.ts';
import { type Spacing, spacedTimesteps } from '../math/noise-schedule.ts';
import { roundHalfToEven } from '../math/round.ts';

export interface TableStep {
  timestep: number;
  alpha: number;
  alphaNext: number;
}

export interface TableOptions {
  alphas: Float32Array;
  steps: number;
  spacing: Spacing;
  offset: number;
  /** What lies before timestep 0: no noise at all, or that of timestep 0. */
  alphaToOne: boolean;
}

/** @throws InputError when the steps do not fit into the table */
export function ddimSteps(options: TableOptions): TableStep[] {
  const transfer = tableReader(options);
  const ratio = Math.floor(options.alphas.length / options.steps);
  return wholeTimesteps(options).map((timestep) => ({ timestep, ...transfer(timestep, timestep - ratio) }));
}

export interface PndmCall extends TableStep {
  /** What is made of the output: a step of the multistep phase, its repetition, or one of four Runge–Kutta stages. */
  stage: 'multistep' | 'repeat' | 0 | 1 | 2 | 3;
}

/**
 * PNDM as Stable Diffusion runs it (`skip_prk_steps`) takes the first step twice, the second time with what it found
 * at its end. The method as published begins with three Runge–Kutta steps of four network runs each.
 * @throws InputError when the steps do not fit into the table
 */
export function pndmCalls(options: TableOptions & { skipRungeKutta: boolean }): PndmCall[] {
  const { alphas, steps, skipRungeKutta } = options;
  const transfer = tableReader(options);
  const ratio = Math.floor(alphas.length / steps);
  const timesteps = wholeTimesteps(options);
  const multistep = (timestep: number): PndmCall => ({
    timestep,
    stage: 'multistep',
    ...transfer(timestep, timestep - ratio),
  });
  if (skipRungeKutta) {
    const calls = timesteps.map(multistep);
    const second = timesteps[1];
    if (second === undefined) return calls;
    return [calls[0]!, { timestep: second, stage: 'repeat', ...transfer(second + ratio, second) }, ...calls.slice(1)];
  }
  if (steps < 4) {
    throw new InputError(`steps is ${steps}; PNDM with Runge–Kutta steps needs at least 4.`, 'steps');
  }
  const half = Math.floor(ratio / 2);
  const rungeKutta = timesteps.slice(0, 3).flatMap((start, index): PndmCall[] => {
    const middle = timesteps[index + 1]! + half;
    const end = timesteps[index + 1]!;
    const targets = [start - half, middle, middle - half, end];
    return [start, middle, middle, end].map((timestep, stage) => ({
      timestep,
      stage: stage as 0 | 1 | 2 | 3,
      ...transfer(start, targets[stage]!),
    }));
  });
  return [...rungeKutta, ...timesteps.slice(3).map(multistep)];
}

/**
 * LCM picks from the timesteps of its distillation, every 20th of 1000.
 * https://github.com/huggingface/diffusers/blob/v0.29.2/src/diffusers/schedulers/scheduling_lcm.py#L371-L496
 * @throws InputError when there are fewer of them than steps
 */
export function lcmSteps(alphas: Float32Array, steps: number, distilledSteps: number): TableStep[] {
  if (steps > distilledSteps) {
    throw new InputError(`steps is ${steps}; the LCM sampler takes at most ${distilledSteps}.`, 'steps');
  }
  const ratio = Math.floor(alphas.length / distilledSteps);
  const gap = distilledSteps / steps;
  const timesteps = Array.from({ length: steps }, (_, k) => (distilledSteps - Math.floor(k * gap)) * ratio - 1);
  return timesteps.map((timestep, step) => ({
    timestep,
    alpha: alphas[timestep]!,
    alphaNext: alphas[timesteps[step + 1] ?? timestep]!,
  }));
}

function tableReader({ alphas, alphaToOne }: TableOptions) {
  const before = alphaToOne ? 1 : alphas[0]!;
  const at = (timestep: number) => (timestep < 0 ? before : alphas[timestep]!);
  return (from: number, to: number) => ({ alpha: at(from), alphaNext: at(to) });
}

function wholeTimesteps({ alphas, steps, spacing, offset }: TableOptions): number[] {
  const trainingSteps = alphas.length;
  if (steps > trainingSteps) {
    // The reference's own words, which callers may already look for.
    throw new InputError(
      `\`num_inference_steps\`: ${steps} cannot be larger than \`self.config.train_timesteps\`: ${trainingSteps} as ` +
        `the unet model trained with this scheduler can only handle maximal ${trainingSteps} timesteps.`,
      'steps',
    );
  }
  const timesteps = spacedTimesteps(spacing, { trainingSteps, steps, offset, dropped: 0 }).map(roundHalfToEven);
  if (timesteps[0]! >= trainingSteps) {
    throw new InputError(
      `steps is ${steps}; it would start at timestep ${timesteps[0]}, but the last one is ${trainingSteps - 1}. ` +
        `Ask for at most ${trainingSteps - offset} steps.`,
      'steps',
    );
  }
  return timesteps;
}
