/**
 * Makes a sampler from the name of a diffusers class and its configuration, as model repositories carry them. What a
 * configuration asks for and is not here is an error that names it.
 *
 * Not here: dynamic thresholding, Lu's lambdas, clipped lambdas, learned variances, continuous timesteps, predictors of
 * one's own in UniPC.
 */
import { InputError } from '../base/errors.ts';
import { alphasCumprod, type Spacing } from '../math/noise-schedule.ts';
import {
  ConfigReader,
  defaults,
  isSchedulerName,
  readNoise,
  type SchedulerConfig,
  type SchedulerName,
} from './config.ts';
import { ddim } from './ddim.ts';
import { deis } from './deis.ts';
import { dpmSolver } from './dpm-solver.ts';
import { euler } from './euler.ts';
import { eulerAncestral } from './euler-ancestral.ts';
import { heun } from './heun.ts';
import { eulerLadder, type LadderOptions, type SigmaLadder, solverLadder } from './ladder.ts';
import { lcm } from './lcm.ts';
import type { Prediction } from './level.ts';
import { lms } from './lms.ts';
import { pndm } from './pndm.ts';
import type { SamplerRun } from './sampler.ts';
import { ddimSteps, lcmSteps, pndmCalls, type TableStep } from './table-steps.ts';
import { uniPc } from './unipc.ts';

export interface Sampler {
  /** What noise of unit variance is multiplied with to become the first latents. */
  initialNoise: number;
  sample(run: SamplerRun): Promise<Float32Array>;
}

export interface SamplerRequest {
  steps: number;
  /** DDIM's share of renewed noise; the others have no use for it. */
  eta?: number;
}

/** @throws InputError naming a class, key or value that is not supported, or `steps` */
export function samplerFromConfig(name: string, config: SchedulerConfig, request: SamplerRequest): Sampler {
  if (!isSchedulerName(name)) {
    throw new InputError(`The scheduler "${name}" is not supported; use one of ${Object.keys(defaults).join(', ')}.`);
  }
  const { steps } = request;
  if (!Number.isInteger(steps) || steps < 1) {
    throw new InputError(`steps is ${steps}; ask for a whole number of steps, at least 1.`, 'steps');
  }
  const reader = new ConfigReader(name, config);
  reader.onlyWith({ thresholding: false });
  return makers[name](reader, request);
}

const makers: Record<SchedulerName, (config: ConfigReader, request: SamplerRequest) => Sampler> = {
  DDIMScheduler(config, { steps, eta = 0 }) {
    const plan = ddimSteps({ ...tableOptions(config, 'DDIMScheduler', steps) });
    const options = { eta, prediction: readPrediction(config), clipRange: readClipRange(config) };
    demandSignal(config, plan, options);
    return { initialNoise: 1, sample: (run) => ddim(plan, options, run) };
  },

  PNDMScheduler(config, { steps }) {
    const table = tableOptions(config, 'PNDMScheduler', steps);
    const plan = pndmCalls({ ...table, skipRungeKutta: config.flag('skip_prk_steps') });
    const prediction = config.oneOf('prediction_type', ['epsilon', 'v_prediction']);
    return { initialNoise: 1, sample: (run) => pndm(plan, prediction, run) };
  },

  LCMScheduler(config, { steps }) {
    const alphas = alphasCumprod(readNoise(config, 'LCMScheduler'));
    const plan = lcmSteps(alphas, steps, config.whole('original_inference_steps', 1, alphas.length));
    const options = {
      prediction: readPrediction(config),
      timestepScaling: config.number('timestep_scaling'),
      clipRange: readClipRange(config),
    };
    demandSignal(config, plan, options);
    return { initialNoise: 1, sample: (run) => lcm(plan, options, run) };
  },

  EulerDiscreteScheduler(config, { steps }) {
    const prediction = readPrediction(config);
    if (prediction === 'v_prediction') config.onlyWith({ timestep_type: 'discrete' });
    const ladder = eulerLadder({
      ...ladderOptions(config, 'EulerDiscreteScheduler', steps),
      interpolation: config.oneOf('interpolation_type', ['linear', 'log_linear']),
    });
    return sigmaSampler(config, ladder, (run) => euler(ladder, prediction, run));
  },

  EulerAncestralDiscreteScheduler(config, { steps }) {
    const ladder = eulerLadder(ladderOptions(config, 'EulerAncestralDiscreteScheduler', steps));
    const prediction = config.oneOf('prediction_type', ['epsilon', 'v_prediction']);
    return sigmaSampler(config, ladder, (run) => eulerAncestral(ladder, prediction, run));
  },

  HeunDiscreteScheduler(config, { steps }) {
    const ladder = eulerLadder(ladderOptions(config, 'HeunDiscreteScheduler', steps));
    const options = { prediction: readPrediction(config), clipRange: readClipRange(config) };
    return sigmaSampler(config, ladder, (run) => heun(ladder, options, run));
  },

  LMSDiscreteScheduler(config, { steps }) {
    const ladder = eulerLadder(ladderOptions(config, 'LMSDiscreteScheduler', steps));
    const prediction = readPrediction(config);
    return sigmaSampler(config, ladder, (run) => lms(ladder, prediction, run));
  },

  DPMSolverMultistepScheduler(config, { steps }) {
    config.onlyWith({ use_lu_lambdas: false, lambda_min_clipped: Number.NEGATIVE_INFINITY });
    // These are rules of DDPM alone; the configuration of a base model may be DDPM's.
    if (config.has('variance_type')) config.oneOf('variance_type', fixedVariances);
    const named = config.oneOf('algorithm_type', [...dpmAlgorithms, 'deis']);
    const algorithm = named === 'deis' ? 'dpmsolver++' : named;
    const ladder = solverLadder(ladderOptions(config, 'DPMSolverMultistepScheduler', steps));
    if (!algorithm.endsWith('++') && ladder.sigmas.at(-1) === 0) {
      config.refuse('final_sigmas_type', `${algorithm} cannot end without noise; use "sigma_min"`);
    }
    const order = readOrder(config);
    if (algorithm.startsWith('sde-') && order === 3) config.refuse('solver_order', `${algorithm} has orders 1 and 2`);
    const options = {
      prediction: readPrediction(config),
      algorithm,
      order,
      // Rules of other solvers stand for the default, as in the reference.
      solver: config.oneOf('solver_type', solverTypes) === 'heun' ? ('heun' as const) : ('midpoint' as const),
      lowerOrderFinal: config.flag('lower_order_final'),
      eulerAtFinal: config.flag('euler_at_final'),
    };
    return { initialNoise: 1, sample: (run) => dpmSolver(ladder, options, run) };
  },

  UniPCMultistepScheduler(config, { steps }) {
    config.onlyWith({ solver_p: null });
    const ladder = solverLadder(ladderOptions(config, 'UniPCMultistepScheduler', steps));
    const order = readOrder(config);
    const predictOriginal = config.flag('predict_x0');
    const lowerOrderFinal = config.flag('lower_order_final');
    if (ladder.sigmas.at(-1) === 0 && !(predictOriginal && (lowerOrderFinal || order === 1))) {
      config.refuse('final_sigmas_type', 'only a step of first order on the clean latents ends at 0; use "sigma_min"');
    }
    const options = {
      prediction: readPrediction(config),
      order,
      solver: config.oneOf('solver_type', solverTypes) === 'bh1' ? ('bh1' as const) : ('bh2' as const),
      predictOriginal,
      lowerOrderFinal,
      uncorrectedSteps: config.numbers('disable_corrector'),
    };
    return { initialNoise: 1, sample: (run) => uniPc(ladder, options, run) };
  },

  DEISMultistepScheduler(config, { steps }) {
    config.oneOf('algorithm_type', ['deis', 'dpmsolver', 'dpmsolver++']);
    config.oneOf('solver_type', solverTypes);
    const ladder = solverLadder(ladderOptions(config, 'DEISMultistepScheduler', steps));
    const options = {
      prediction: readPrediction(config),
      order: readOrder(config),
      lowerOrderFinal: config.flag('lower_order_final'),
    };
    return { initialNoise: 1, sample: (run) => deis(ladder, options, run) };
  },
};

const dpmAlgorithms = ['dpmsolver++', 'sde-dpmsolver++', 'dpmsolver', 'sde-dpmsolver'] as const;
const fixedVariances = ['fixed_small', 'fixed_small_log', 'fixed_large', 'fixed_large_log'];
const solverTypes = ['midpoint', 'heun', 'logrho', 'bh1', 'bh2'] as const;

/** The first latents of a sigma sampler: all noise, or with the leading spacing what the training had there. */
function sigmaSampler(config: ConfigReader, ladder: SigmaLadder, sample: Sampler['sample']): Sampler {
  const largest = Math.max(...ladder.sigmas);
  const leading = readSpacing(config) === 'leading';
  return { initialNoise: leading ? Math.sqrt(largest ** 2 + 1) : largest, sample };
}

function ladderOptions(config: ConfigReader, name: SchedulerName, steps: number): LadderOptions {
  const keys = defaults[name];
  const alphas = alphasCumprod(readNoise(config, name));
  const spacing = readSpacing(config);
  const most = spacing === 'leading' && 'solver_order' in keys ? alphas.length - 1 : alphas.length;
  if (steps > most) throw new InputError(`steps is ${steps}; ask for at most ${most}.`, 'steps');
  const karras = 'use_karras_sigmas' in keys && config.flag('use_karras_sigmas');
  const range = 'sigma_min' in keys;
  const smallest = range ? config.optionalNumber('sigma_min') : undefined;
  const largest = range ? config.optionalNumber('sigma_max') : undefined;
  // DEIS ends where the training began, UniPC and DPM-Solver and Euler as they are told, the rest without noise.
  const fixed = name === 'DEISMultistepScheduler' ? 'sigma_min' : 'zero';
  const told = 'final_sigmas_type' in keys ? config.oneOf('final_sigmas_type', ['zero', 'sigma_min']) : fixed;
  // A Karras spacing ends at its own last sigma, and the solvers then stay there for their last step. DPM-Solver did so up to
  // diffusers 0.25, which is where "sigma_min" is asked for; a single step, which begins at the last sigma, goes nowhere.
  const stays = karras && 'solver_order' in keys;
  return {
    alphas,
    steps,
    spacing,
    offset: config.whole('steps_offset', 0, alphas.length - 1),
    karras: karras ? { smallest, largest } : undefined,
    final: stays && told === 'sigma_min' ? 'last' : told,
  };
}

function tableOptions(config: ConfigReader, name: SchedulerName, steps: number) {
  return {
    alphas: alphasCumprod(readNoise(config, name)),
    steps,
    spacing: readSpacing(config),
    offset: config.whole('steps_offset', 0, 1_000_000),
    alphaToOne: config.flag('set_alpha_to_one'),
  };
}

/** What a network that returns noise says of clean latents is divided by the signal: with none left that is infinite. */
function demandSignal(
  config: ConfigReader,
  plan: readonly TableStep[],
  { prediction, clipRange }: { prediction: Prediction; clipRange: number | undefined },
): void {
  const silent = plan.find(({ alpha }) => alpha === 0);
  if (!silent || prediction !== 'epsilon' || clipRange !== undefined) return;
  config.refuse(
    'prediction_type',
    `timestep ${silent.timestep} holds no signal (rescale_betas_zero_snr or trained_betas), and its noise alone tells ` +
      'nothing of a picture. In scheduler/scheduler_config.json of the base model set clip_sample to true, or ' +
      'prediction_type to "v_prediction" if it was trained so; or use another scheduler',
  );
}

function readSpacing(config: ConfigReader): Spacing {
  return config.oneOf('timestep_spacing', ['leading', 'linspace', 'trailing']);
}

function readPrediction(config: ConfigReader): Prediction {
  return config.oneOf('prediction_type', ['epsilon', 'v_prediction', 'sample']);
}

function readOrder(config: ConfigReader): 1 | 2 | 3 {
  return config.whole('solver_order', 1, 3) as 1 | 2 | 3;
}

function readClipRange(config: ConfigReader): number | undefined {
  return config.flag('clip_sample') ? config.number('clip_sample_range') : undefined;
}
