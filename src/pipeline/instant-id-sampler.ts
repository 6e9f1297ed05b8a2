import type { SchedulerConfig } from '../schedulers/config.ts';
import { type Sampler, samplerFromConfig } from '../schedulers/from-config.ts';

/**
 * The sampler of zsxkib/instant-id: of a base's own schedule, as diffusers 0.25.1 read it. After zsxkib/InstantID at b8dc74a
 * `cog/predict.py` (`generate_image`), where each request begins with the scheduler of the last one; here with the base's.
 *
 * @param name `Class`, `Class-Karras` or `Class-Karras-SDE`
 */
export function instantIdSampler(name: string, schedule: SchedulerConfig, steps: number): Sampler {
  const [schedulerClass, karras, stochastic] = name.split('-') as [string, string?, string?];
  return samplerFromConfig(
    schedulerClass,
    {
      ...schedule,
      ...(karras ? { use_karras_sigmas: true } : {}),
      ...(stochastic ? { algorithm_type: 'sde-dpmsolver++' } : {}),
      // That release had neither choice, whatever the base says.
      ...(schedulerClass === 'DPMSolverMultistepScheduler'
        ? { final_sigmas_type: 'sigma_min', rescale_betas_zero_snr: false }
        : { final_sigmas_type: 'zero' }),
    },
    { steps },
  );
}
