import type { LocatedWeights, PredictContext, WeightRepository } from '../catalog/model.ts';

/** Which set runs, and the folder on this disk of each repository that was asked for. */
export interface EachLocated {
  set: LocatedWeights['set'];
  folderOf(repository: WeightRepository): string;
}

/** For models whose inputs decide how many repositories they need. @throws WeightError listing what is missing */
export async function locateEach(
  locate: PredictContext['locate'],
  repositories: readonly WeightRepository[],
): Promise<EachLocated> {
  const { set, folders } = await locate(repositories);
  const places = new Map(repositories.map((repository, index) => [repository, folders[index]!]));
  return {
    set,
    folderOf(repository) {
      const folder = places.get(repository);
      if (folder === undefined) throw new Error(`${repository.repository} was not asked for.`);
      return folder;
    },
  };
}
