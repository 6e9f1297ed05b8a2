import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { WeightError } from '../base/errors.ts';
import type { Settings } from '../base/settings.ts';
import type { LocatedWeights, WeightRepository } from '../catalog/model.ts';
import { miniFolder } from './mini.ts';
import { presentFile } from './network-files.ts';

type WeightSettings = Pick<Settings, 'weights' | 'weightsPath' | 'hfHome' | 'home'>;

/**
 * Finds the folders of all the repositories, of one set: `full` when every file of every repository is on this disk,
 * else `mini` (written on first use), as `settings.weights` allows.
 *
 * @throws WeightError listing what is missing and where it was looked for
 */
export async function locateWeights(
  repositories: readonly WeightRepository[],
  settings: WeightSettings,
): Promise<LocatedWeights> {
  if (settings.weights === 'mini') return await locateMini(repositories, settings);
  const searches = await Promise.all(repositories.map((repository) => search(repository, settings)));
  const folders = searches.flatMap((found) => found.folder ?? []);
  if (folders.length === repositories.length) return { set: 'full', folders };
  if (settings.weights === 'auto') return await locateMini(repositories, settings);
  throw new WeightError(
    `The published weights are not all on this disk. ${searches.flatMap((found) => found.fault ?? []).join(' ')} ` +
      'Download them into the Hugging Face cache (HF_HOME), or set DARKROOM_WEIGHTS_PATH to a folder that holds ' +
      '<owner>/<name>/… as on the hub.',
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

/** Of a repository's files, those with a size and those without. */
export function pathsOf(files: WeightRepository['files']): string[] {
  return files.map((file) => (typeof file === 'string' ? file : file.path));
}

/** The first folder that holds every file, or a sentence about what the folders lack. */
async function search(
  { repository, mirrors = [], files }: WeightRepository,
  settings: WeightSettings,
): Promise<{ folder?: string; fault?: string }> {
  const lacking: string[] = [];
  const paths = pathsOf(files);
  for (const name of [repository, ...mirrors]) {
    for (const folder of await candidates(name, settings)) {
      const present = await Promise.all(paths.map((path) => presentFile(join(folder, path))));
      const missing = paths.filter((_, index) => !present[index]);
      if (missing.length === 0) return { folder };
      lacking.push(`${folder} (no ${missing.join(', ')})`);
    }
  }
  return { fault: `${repository} was looked for in ${lacking.join('; ')}.` };
}

/** Where a repository may lie: as a plain folder, and in the Hugging Face cache at its newest known revision. */
async function candidates(name: string, { weightsPath, hfHome }: WeightSettings): Promise<string[]> {
  const cache = join(hfHome, 'hub', `models--${name.replace('/', '--')}`);
  const revision = await readFile(join(cache, 'refs', 'main'), 'utf8').then(
    (text) => text.trim(),
    () => 'main',
  );
  const plain = weightsPath ? [join(weightsPath, name)] : [];
  return [...plain, join(cache, 'snapshots', revision)];
}
