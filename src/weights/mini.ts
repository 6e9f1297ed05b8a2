/**
 * The mini set: small networks of the same architectures and file layouts as the published ones, so that every model
 * answers on any machine, offline, in seconds. They are made from a recipe on first use and are untrained. Each family
 * of models has its recipe in a `mini-<family>.ts`.
 */
import { createHash } from 'node:crypto';
import { mkdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { miniAnimateDiff } from './mini-animate-diff.ts';
import { miniAnnotators } from './mini-annotators.ts';
import { miniFaceToMany } from './mini-face-to-many.ts';
import { miniFaces } from './mini-faces.ts';
import type { MiniFile, MiniRepositories } from './mini-file.ts';
import { miniInstantId } from './mini-instant-id.ts';
import { miniPhotomaker } from './mini-photomaker.ts';
import { miniStableDiffusion } from './mini-stable-diffusion.ts';
import { miniStableDiffusionXl } from './mini-stable-diffusion-xl.ts';

const repositories: MiniRepositories = {
  ...miniStableDiffusion,
  ...miniStableDiffusionXl,
  ...miniAnimateDiff,
  ...miniAnnotators,
  ...miniPhotomaker,
  ...miniFaces,
  ...miniInstantId,
  ...miniFaceToMany,
};

/** Goes up when the same recipe would give other bytes, so that nobody goes on with old files. */
const generation = 3;

/**
 * The folder that stands in for the first of the repositories that the recipe knows, written unless it is there;
 * `undefined` when it knows none.
 */
export async function miniFolder(names: readonly string[], home: string): Promise<string | undefined> {
  const name = names.find((candidate) => Object.hasOwn(repositories, candidate));
  if (!name) return undefined;
  const files = repositories[name]!;
  const folder = join(home, 'weights', 'mini', versionOf(files), name);
  for (const { path, write } of files) {
    const destination = join(folder, path);
    if (await exists(destination)) continue;
    await mkdir(dirname(destination), { recursive: true });
    await write(destination, `${name}/${path}`);
  }
  return folder;
}

function versionOf(files: readonly MiniFile[]): string {
  const recipe = JSON.stringify([generation, files.map(({ path, recipe }) => [path, recipe])]);
  return createHash('sha256').update(recipe).digest('hex').slice(0, 12);
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
