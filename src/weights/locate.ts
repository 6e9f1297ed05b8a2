import { WeightError } from '../base/errors.ts';
import type { Settings } from '../base/settings.ts';
import { sizeText } from '../base/size-text.ts';
import type { LocatedWeights, WeightRepository } from '../catalog/model.ts';
import { missingFiles, type RepositoryState, repositoryState, type WeightPlaces, wayToGet } from './inventory.ts';
import { miniFolder } from './mini.ts';
import { demandAllNetworks, singleFile } from './single-file.ts';

type WeightSettings = Pick<Settings, 'weights' | 'weightLicences' | 'weightsPath' | 'hfHome' | 'home'>;

export interface FoundWeights extends LocatedWeights {
  /** Of the mini set: why it runs, and what would change that. */
  reason?: string;
}

/**
 * Finds the folders of all the repositories, of one set: `full` when every file of every repository is on this disk,
 * else `mini` (written on first use), as `settings.weights` allows.
 *
 * @throws WeightError listing all that is missing, how to get it and where it was looked for; or what a base in one file lacks
 */
export async function locateWeights(
  repositories: readonly WeightRepository[],
  settings: WeightSettings,
): Promise<FoundWeights> {
  if (settings.weights === 'mini') {
    return { ...(await locateMini(repositories, settings)), reason: 'DARKROOM_WEIGHTS is mini.' };
  }
  const states = await Promise.all(repositories.map((repository) => repositoryState(repository, settings)));
  const incomplete = states.filter((state) => missingFiles(state).length > 0);
  const refusal = refusalOf(repositories, settings);
  if (refusal && (settings.weights === 'full' || incomplete.length === 0)) throw new WeightError(refusal);
  if (incomplete.length === 0) {
    for (const { path, found } of states.flatMap(({ files }) => files)) {
      if (found && path === singleFile) await demandAllNetworks(found.path);
    }
    return { set: 'full', folders: states.map(({ folder }) => folder) };
  }
  if (settings.weights === 'auto') {
    const missing = `Not on this disk: ${incomplete.map(({ repository: { repository } }) => repository).join(', ')}.`;
    const reason = refusal ? `${missing} They would not be used either. ${refusal}` : missing;
    return { ...(await locateMini(repositories, settings)), reason };
  }
  throw new WeightError(
    [
      'Published weights that this prediction needs are not on this disk, and DARKROOM_WEIGHTS is full.',
      ...incomplete.map(missingText),
      `Looked for in ${placesText(settings)}.`,
    ].join('\n'),
  );
}

async function locateMini(
  repositories: readonly WeightRepository[],
  { home }: WeightSettings,
): Promise<LocatedWeights> {
  const folders: string[] = [];
  for (const { repository, mirrors = [] } of repositories) {
    const folder = await miniFolder([repository, ...mirrors], home);
    if (!folder) {
      throw new WeightError(
        `The mini set has no weights for ${repository}. Use the published ones: DARKROOM_WEIGHTS=full.`,
      );
    }
    folders.push(folder);
  }
  return { set: 'mini', folders };
}

/** Why the published weights may not be used here, if so. The mini set is Darkroom's own and needs no such rule. */
function refusalOf(
  repositories: readonly WeightRepository[],
  { weightLicences }: Pick<WeightSettings, 'weightLicences'>,
): string | undefined {
  const refused = repositories.filter(({ commercialUse }) => weightLicences === 'commercial' && !commercialUse);
  if (refused.length === 0) return undefined;
  return `This prediction needs weights that may not be used commercially, or whose licence is unclear: ${refused
    .map(({ repository, licence }) => `${repository} (${licence})`)
    .join(', ')}. DARKROOM_WEIGHT_LICENCES is commercial, and there is nothing free in their place.`;
}

function missingText(state: RepositoryState): string {
  const files = missingFiles(state).map(({ path, bytes }) => (bytes ? `${path} (${sizeText(bytes)})` : path));
  const { repository, licence, mayBeSingleFile } = state.repository;
  const other = mayBeSingleFile
    ? `. Or save the model in one file as <DARKROOM_WEIGHTS_PATH>/${repository}/${singleFile}`
    : '';
  return `${repository} (${licence}) lacks ${files.join(', ')}. Get it: ${wayToGet(state)}${other}`;
}

/** Where published weights are looked for, for people. */
export function placesText({ weightsPath, hfHome }: WeightPlaces): string {
  const cache = `the Hugging Face cache ${hfHome} (HF_HOME)`;
  const plain = `as <owner>/<name>/… below DARKROOM_WEIGHTS_PATH`;
  return weightsPath ? `${weightsPath} (DARKROOM_WEIGHTS_PATH) and ${cache}` : `${cache}; files may also lie ${plain}`;
}
