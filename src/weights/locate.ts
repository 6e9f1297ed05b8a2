import { WeightError } from '../base/errors.ts';
import type { Settings } from '../base/settings.ts';
import type { LocatedWeights, WeightRepository } from '../catalog/model.ts';

/**
 * Finds the folders of all the repositories, of one set: `full` when every file of every repository is on this disk,
 * else `mini` (written on first use), as `settings.weights` allows.
 *
 * @throws WeightError listing what is missing and where it was looked for
 */
export async function locateWeights(
  repositories: readonly WeightRepository[],
  settings: Pick<Settings, 'weights' | 'weightsPath' | 'hfHome' | 'home'>,
): Promise<LocatedWeights> {
  throw new WeightError(`${settings.weights} ${repositories.length}`);
}
