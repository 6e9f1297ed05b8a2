import { cpSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sharedFolder } from './once.ts';

/** The data folder whose mini set all tests of a run have in common: each file is written by whoever needs it first. */
export function sharedHome(): string {
  return process.env[sharedFolder]!;
}

/** Gives a data folder the mini set that all tests have in common. */
export function shareMiniSet(home: string): void {
  const shared = join(sharedHome(), 'weights', 'mini');
  mkdirSync(shared, { recursive: true });
  mkdirSync(join(home, 'weights'), { recursive: true });
  symlinkSync(shared, join(home, 'weights', 'mini'));
}

/**
 * Has copies of the mini set stand in for published files, laid out as Hugging Face's cache is.
 *
 * @param home a data folder with the mini set that is Hugging Face's home too
 * @returns the folder of the cache
 */
export function publishMiniSet(home: string, repositories: readonly string[]): string {
  const mini = join(home, 'weights', 'mini');
  const hub = join(home, 'hub');
  for (const repository of repositories) {
    const cache = join(hub, `models--${repository.replace('/', '--')}`);
    const folders = readdirSync(mini).map((recipe) => join(mini, recipe, repository));
    // What another worker is still writing may be gone before it is copied.
    const filter = (path: string): boolean => !path.endsWith('.part');
    cpSync(folders.find(existsSync)!, join(cache, 'snapshots', 'abc'), { recursive: true, filter });
    mkdirSync(join(cache, 'refs'));
    writeFileSync(join(cache, 'refs', 'main'), 'abc');
  }
  return hub;
}
