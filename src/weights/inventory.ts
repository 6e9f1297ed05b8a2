/** Which published weights lie on this disk, and how to get the others. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Settings } from '../base/settings.ts';
import type { WeightFile, WeightRepository } from '../catalog/model.ts';
import { presentFile } from './network-files.ts';
import { singleFile } from './single-file.ts';

export type WeightPlaces = Pick<Settings, 'weightsPath' | 'hfHome'>;

/** A published file and what is on this disk of it. */
export interface FileState extends WeightFile {
  /** The file that was found; by another name where a variant of it serves. */
  found?: { path: string; bytes: number };
}

/** A repository on this disk: in the folder that has every file, else in the one that has most. */
export interface RepositoryState {
  repository: WeightRepository;
  folder: string;
  files: readonly FileState[];
}

/** The files of a repository, those with a size and those without. */
export function weightFiles({ files }: WeightRepository): WeightFile[] {
  return files.map((file) => (typeof file === 'string' ? { path: file } : file));
}

export async function repositoryState(repository: WeightRepository, places: WeightPlaces): Promise<RepositoryState> {
  let best: RepositoryState | undefined;
  for (const folder of await candidates(repository, places)) {
    const state = { repository, folder, files: await filesIn(folder, repository) };
    if (!best || missingFiles(state).length < missingFiles(best).length) best = state;
  }
  return best!;
}

export function missingFiles({ files }: RepositoryState): FileState[] {
  return files.filter(({ found }) => !found);
}

/**
 * How a person gets what is missing: a command for the hub, or a page and where its files belong. `undefined` when
 * nothing is missing.
 */
export function wayToGet(state: RepositoryState): string | undefined {
  const { repository, revision, page } = state.repository;
  const missing = missingFiles(state).map(({ path }) => path);
  if (missing.length === 0) return undefined;
  if (page) {
    return `${page}, saved as ${missing.map((path) => `<DARKROOM_WEIGHTS_PATH>/${repository}/${path}`).join(', ')}`;
  }
  return ['hf download', repository, ...missing, ...(revision ? ['--revision', revision] : [])].join(' ');
}

/** What counts in a folder: all files of the repository, or the one that stands for them and configurations beside it. */
export async function filesIn(folder: string, repository: WeightRepository): Promise<FileState[]> {
  const listed = await Promise.all(weightFiles(repository).map((file) => fileState(folder, file)));
  const whole = repository.mayBeSingleFile && (await fileState(folder, { path: singleFile }));
  return whole?.found ? [whole, ...listed.filter(({ path, found }) => found && path.endsWith('.json'))] : listed;
}

async function fileState(folder: string, file: WeightFile): Promise<FileState> {
  const path = await presentFile(join(folder, file.path));
  return path === undefined ? file : { ...file, found: { path, bytes: (await stat(path)).size } };
}

/**
 * Where a repository may lie: as a plain folder, and in the Hugging Face cache at the revision that is asked for or the
 * newest known one. Mirrors come after the repository itself.
 */
async function candidates(
  { repository, mirrors = [], revision }: WeightRepository,
  { weightsPath, hfHome }: WeightPlaces,
): Promise<string[]> {
  const folders: string[] = [];
  for (const name of [repository, ...mirrors]) {
    if (weightsPath) folders.push(join(weightsPath, name));
    const cache = join(hfHome, 'hub', `models--${name.replace('/', '--')}`);
    if (revision) folders.push(join(cache, 'snapshots', revision));
    folders.push(join(cache, 'snapshots', await newestRevision(cache)));
  }
  return folders;
}

async function newestRevision(cache: string): Promise<string> {
  return await readFile(join(cache, 'refs', 'main'), 'utf8').then(
    (text) => text.trim(),
    () => 'main',
  );
}
