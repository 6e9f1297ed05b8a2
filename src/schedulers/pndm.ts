import { combine, levelOfAlpha, type Prediction, predictedNoise } from './level.ts';
import { runNetwork, type SamplerRun } from './sampler.ts';
import type { PndmCall } from './table-steps.ts';

/** Adams–Bashforth weights, newest first, by how many outputs there are. */
const multistepWeights = [[1], [3 / 2, -1 / 2], [23 / 12, -16 / 12, 5 / 12], [55 / 24, -59 / 24, 37 / 24, -9 / 24]];
const rungeKuttaWeights = [1 / 6, 1 / 3, 1 / 3, 1 / 6];

/**
 * PNDM: Liu et al. 2022, "Pseudo numerical methods for diffusion models on manifolds" (arXiv 2202.09778), algorithm 2,
 * after https://github.com/huggingface/diffusers/blob/v0.29.2/src/diffusers/schedulers/scheduling_pndm.py#L231-L440
 */
export async function pndm(
  plan: readonly PndmCall[],
  prediction: Exclude<Prediction, 'sample'>,
  run: SamplerRun,
): Promise<Float32Array> {
  const completes = (call: number) => {
    const { stage } = plan[call]!;
    return stage === 3 || stage === 'repeat' || (stage === 'multistep' && plan[call + 1]?.stage !== 'repeat');
  };
  const steps = plan.filter((_, call) => completes(call)).length;
  let done = 0;
  let { latents } = run;
  /** Where the step under way began. */
  let start = latents;
  /** Newest first. */
  let outputs: Float32Array[] = [];
  let stages: Float32Array[] = [];

  run.onStep(0, steps, latents);
  for (const [call, step] of plan.entries()) {
    const output = await runNetwork(run, latents, levelOfAlpha(step.alpha), step.timestep, call);
    let combined = output;
    switch (step.stage) {
      case 'multistep':
        start = latents;
        outputs = [output, ...outputs].slice(0, 4);
        combined = weighted(multistepWeights[outputs.length - 1]!, outputs);
        break;
      case 'repeat':
        combined = combine([1 / 2, output], [1 / 2, outputs[0]!]);
        break;
      default:
        if (step.stage === 0) {
          start = latents;
          stages = [];
          outputs = [output, ...outputs].slice(0, 4);
        }
        stages.push(output);
        if (step.stage === 3) combined = weighted(rungeKuttaWeights, stages);
    }
    latents = transfer(step, prediction, combined, start);
    if (completes(call)) run.onStep(++done, steps, latents);
  }
  return latents;
}

function weighted(weights: readonly number[], values: readonly Float32Array[]): Float32Array {
  return combine(...values.map((value, index) => [weights[index]!, value] as const));
}

/** Equation 11: along a given noise from one level to another. */
function transfer(
  { alpha, alphaNext }: PndmCall,
  prediction: Prediction,
  output: Float32Array,
  latents: Float32Array,
): Float32Array {
  const noise = predictedNoise(prediction, output, latents, levelOfAlpha(alpha));
  const divisor = alpha * Math.sqrt(1 - alphaNext) + Math.sqrt(alpha * (1 - alpha) * alphaNext);
  return combine([Math.sqrt(alphaNext / alpha), latents], [(alpha - alphaNext) / divisor, noise]);
}
