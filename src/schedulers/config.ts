/**
 * Reads a diffusers `scheduler_config.json`. The defaults are those of the constructors of diffusers 0.29.2, and the
 * only place where they stand; a configuration of an older release says what differs, `timestep_spacing` and
 * `final_sigmas_type` above all.
 */
import { InputError } from '../base/errors.ts';
import type { NoiseConfig } from '../math/noise-schedule.ts';

export type SchedulerConfig = Readonly<Record<string, unknown>>;

const noise = {
  num_train_timesteps: 1000,
  beta_start: 0.0001,
  beta_end: 0.02,
  beta_schedule: 'linear',
  trained_betas: null,
  prediction_type: 'epsilon',
  steps_offset: 0,
};
const thresholding = { thresholding: false, dynamic_thresholding_ratio: 0.995, sample_max_value: 1 };
const clipping = { clip_sample: false, clip_sample_range: 1 };
const sigmaRange = { sigma_min: null, sigma_max: null };
const solver = {
  ...noise,
  ...thresholding,
  ...sigmaRange,
  solver_order: 2,
  lower_order_final: true,
  use_karras_sigmas: false,
  timestep_spacing: 'linspace',
};

export const defaults = {
  DDIMScheduler: {
    ...noise,
    ...thresholding,
    ...clipping,
    clip_sample: true,
    set_alpha_to_one: true,
    timestep_spacing: 'leading',
    rescale_betas_zero_snr: false,
  },
  PNDMScheduler: { ...noise, skip_prk_steps: false, set_alpha_to_one: false, timestep_spacing: 'leading' },
  LMSDiscreteScheduler: { ...noise, use_karras_sigmas: false, timestep_spacing: 'linspace' },
  HeunDiscreteScheduler: {
    ...noise,
    ...clipping,
    ...sigmaRange,
    beta_start: 0.00085,
    beta_end: 0.012,
    use_karras_sigmas: false,
    timestep_spacing: 'linspace',
  },
  EulerDiscreteScheduler: {
    ...noise,
    ...sigmaRange,
    interpolation_type: 'linear',
    use_karras_sigmas: false,
    timestep_spacing: 'linspace',
    timestep_type: 'discrete',
    rescale_betas_zero_snr: false,
    final_sigmas_type: 'zero',
  },
  EulerAncestralDiscreteScheduler: { ...noise, timestep_spacing: 'linspace', rescale_betas_zero_snr: false },
  DPMSolverMultistepScheduler: {
    ...solver,
    algorithm_type: 'dpmsolver++',
    solver_type: 'midpoint',
    euler_at_final: false,
    use_lu_lambdas: false,
    final_sigmas_type: 'zero',
    lambda_min_clipped: Number.NEGATIVE_INFINITY,
    variance_type: null,
    rescale_betas_zero_snr: false,
  },
  UniPCMultistepScheduler: {
    ...solver,
    predict_x0: true,
    solver_type: 'bh2',
    disable_corrector: [],
    solver_p: null,
    final_sigmas_type: 'zero',
    rescale_betas_zero_snr: false,
  },
  DEISMultistepScheduler: { ...solver, algorithm_type: 'deis', solver_type: 'logrho' },
  LCMScheduler: {
    ...noise,
    ...thresholding,
    ...clipping,
    beta_start: 0.00085,
    beta_end: 0.012,
    beta_schedule: 'scaled_linear',
    original_inference_steps: 50,
    set_alpha_to_one: true,
    timestep_spacing: 'leading',
    timestep_scaling: 10,
    rescale_betas_zero_snr: false,
  },
};

export type SchedulerName = keyof typeof defaults;

/** Keys of any scheduler. One that this class does not know is left alone, as in diffusers: files keep such keys. */
const anyKey = new Set(Object.values(defaults).flatMap((keys) => Object.keys(keys)));

export function isSchedulerKey(key: string): boolean {
  return key.startsWith('_') || anyKey.has(key);
}

export function isSchedulerName(name: string): name is SchedulerName {
  return Object.hasOwn(defaults, name);
}

/** Typed access to one class's configuration; every method throws an InputError that names key, value and remedy. */
export class ConfigReader {
  private readonly name: SchedulerName;
  private readonly values: SchedulerConfig;

  constructor(name: SchedulerName, config: SchedulerConfig) {
    for (const key of Object.keys(config)) {
      if (!isSchedulerKey(key)) {
        throw new InputError(`${name}: "${key}" is not a key of a scheduler configuration; leave it out.`);
      }
    }
    this.name = name;
    this.values = { ...defaults[name], ...withoutUndefined(config) };
  }

  /** Whether a value other than null is set. */
  has(key: string): boolean {
    return this.values[key] !== null && this.values[key] !== undefined;
  }

  oneOf<const Value extends string>(key: string, known: readonly Value[]): Value {
    const value = this.values[key];
    const found = known.find((entry) => entry === value);
    return found ?? this.refuse(key, `use ${known.map((entry) => JSON.stringify(entry)).join(' or ')}`);
  }

  flag(key: string): boolean {
    const value = this.values[key];
    return typeof value === 'boolean' ? value : value === null ? false : this.refuse(key, 'use true or false');
  }

  number(key: string): number {
    const value = this.values[key];
    return typeof value === 'number' && Number.isFinite(value) ? value : this.refuse(key, 'use a number');
  }

  whole(key: string, least: number, most: number): number {
    const value = this.number(key);
    const fits = Number.isInteger(value) && value >= least && value <= most;
    return fits ? value : this.refuse(key, `use a whole number from ${least} to ${most}`);
  }

  optionalNumber(key: string): number | undefined {
    return this.has(key) ? this.number(key) : undefined;
  }

  numbers(key: string): readonly number[] {
    const value = this.values[key];
    const fits = Array.isArray(value) && value.every((entry) => typeof entry === 'number' && Number.isFinite(entry));
    return fits ? value : this.refuse(key, 'use a list of numbers');
  }

  /** Options that are not implemented here, and the one value of each that asks for nothing. */
  onlyWith(neutral: Readonly<Record<string, unknown>>): void {
    for (const [key, value] of Object.entries(neutral)) {
      if (this.has(key) && this.values[key] !== value) this.refuse(key, `not supported here; use ${String(value)}`);
    }
  }

  refuse(key: string, remedy: string): never {
    throw new InputError(`${this.name}: ${key} is ${JSON.stringify(this.values[key]) ?? 'missing'}; ${remedy}.`);
  }
}

export function readNoise(config: ConfigReader, name: SchedulerName): NoiseConfig {
  const trainingSteps = config.whole('num_train_timesteps', 2, 1_000_000);
  const keys = defaults[name];
  const schedules = [
    'linear',
    'scaled_linear',
    'squaredcos_cap_v2',
    ...(name === 'HeunDiscreteScheduler' ? ['exp'] : []),
  ];
  const noiseConfig: NoiseConfig = {
    betaSchedule: config.oneOf('beta_schedule', schedules) as NoiseConfig['betaSchedule'],
    betaStart: config.number('beta_start'),
    betaEnd: config.number('beta_end'),
    trainingSteps,
    zeroTerminalSnr: 'rescale_betas_zero_snr' in keys && config.flag('rescale_betas_zero_snr'),
  };
  const trainedBetas = config.has('trained_betas') ? config.numbers('trained_betas') : undefined;
  if (trainedBetas && trainedBetas.length !== trainingSteps) {
    config.refuse('trained_betas', `it must hold num_train_timesteps values, ${trainingSteps}`);
  }
  return { ...noiseConfig, trainedBetas };
}

function withoutUndefined(config: SchedulerConfig): SchedulerConfig {
  return Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined));
}
