import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SettingsError } from '../base/errors.ts';
import { takeFolderLock } from './folder-lock.ts';
import { identify, isSameProcessAlive } from './process-identity.ts';

describe('folder lock', () => {
  let home: string;
  const children: ChildProcess[] = [];
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'darkroom-lock-'));
  });
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    rmSync(home, { recursive: true, force: true });
  });

  const lockFiles = () => readdirSync(join(home, 'database-lock')).sort();
  /** A process that tries to take the lock when told to; it says `held` or `refused` and then waits. */
  const contender = async () => {
    const program = `
      import { takeFolderLock } from '${new URL('../../dist/database/folder-lock.js', import.meta.url).href}';
      process.on('message', () => takeFolderLock(${JSON.stringify(home)}).then(
        () => process.send('held'), (error) => process.send(error.name === 'SettingsError' ? 'refused' : error.stack)));
      process.send('up');`;
    const file = join(home, `contender-${children.length}.mjs`);
    writeFileSync(file, program);
    const child = fork(file, { execArgv: [] });
    children.push(child);
    await once(child, 'message');
    return child;
  };
  const take = async (child: ChildProcess) => {
    child.send('take');
    return (await once(child, 'message'))[0] as string;
  };
  const kill = async (child: ChildProcess) => {
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  it('is had by one, says who that is, and can be had again after release', async () => {
    const lock = await takeFolderLock(home);
    const refused = await takeFolderLock(home).catch((error: Error) => error);
    expect(refused).toBeInstanceOf(SettingsError);
    expect((refused as Error).message).toMatch(
      new RegExp(`${home} is in use by process ${process.pid} on .*, since 2\\d{3}-.*DARKROOM_HOME.*DATABASE_URL`),
    );
    await lock.release();
    const again = await takeFolderLock(home);
    expect(lockFiles()).toEqual(['2']);
    await again.release();
  });

  it('is free after its holder was killed', async () => {
    const child = await contender();
    expect(await take(child)).toBe('held');
    await expect(takeFolderLock(home)).rejects.toThrow(`process ${child.pid}`);
    await kill(child);
    await (await takeFolderLock(home)).release();
  });

  it('goes to exactly one of many that find it left behind', async () => {
    for (let round = 0; round < 4; round++) {
      const dead = await contender();
      await take(dead);
      await kill(dead);
      const contenders = await Promise.all(Array.from({ length: 5 }, contender));
      const results = await Promise.all(contenders.map(take));
      expect(results.toSorted()).toEqual(['held', 'refused', 'refused', 'refused', 'refused']);
      await Promise.all(contenders.map(kill));
    }
  });

  it('is not taken for held when another process has the same number', async () => {
    expect(isSameProcessAlive(identify())).toBe(true);
    expect(isSameProcessAlive({ ...identify(), started: '12345' })).toBe(false);
    await takeFolderLock(home).then((lock) => lock.release());
    writeFileSync(
      join(home, 'database-lock', '7'),
      JSON.stringify({ ...identify(), started: '12345', since: '2026-01-01T00:00:00.000Z', released: false }),
    );
    await (await takeFolderLock(home)).release();
    expect(lockFiles()).toEqual(['8']);
  });

  it('is watched for a sign of life when its holder runs out of sight', async () => {
    expect(isSameProcessAlive({ ...identify(), place: 'another container' })).toBeUndefined();
    await takeFolderLock(home).then((lock) => lock.release());
    const path = join(home, 'database-lock', '7');
    const since = '2026-01-01T00:00:00.000Z';
    const content = JSON.stringify({ ...identify(), place: 'another container', host: 'box', since, released: false });
    writeFileSync(path, content);
    const beat = setInterval(() => utimesSync(path, new Date(), new Date()), 300);
    await expect(takeFolderLock(home)).rejects.toThrow(/in use by process \d+ on box, since 2026-01-01/);
    clearInterval(beat);
    // Now it is silent.
    await (await takeFolderLock(home)).release();
  });
});
