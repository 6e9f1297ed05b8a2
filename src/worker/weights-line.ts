import type { WeightRepository } from '../catalog/model.ts';
import type { FoundWeights } from '../weights/locate.ts';

/** Which weights run, for the logs of a prediction of `model`. */
export function weightsLine(
  { set, reason }: FoundWeights,
  model: string,
  repositories: readonly WeightRepository[],
): string {
  if (set === 'full')
    return `Weights: the full set, from ${repositories.map(({ repository }) => repository).join(', ')}.`;
  return [
    'Weights: the mini set. These small networks are untrained (random), so the pictures are only texture.',
    `Real pictures need the published weights; \`darkroom models ${model}\` says how to get them.`,
    ...(reason ? [reason] : []),
  ].join(' ');
}
