import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { waitUntil } from './wait-until.ts';

/** Names the folder, made and removed by `test-run.ts`, in which the workers of one test run keep what they share. */
export const sharedFolder = 'DARKROOM_TEST_SHARED';

/**
 * Has something made once in a test run, by the worker that asks first; the others wait for it. What nobody asks for is
 * not made.
 *
 * @param make writes a file or a folder of the given path
 * @returns where it lies
 */
export async function once(name: string, make: (path: string) => Promise<void>): Promise<string> {
  const path = join(process.env[sharedFolder]!, name);
  const making = `${path}.making`;
  const isOurs = await mkdir(making).then(
    () => true,
    () => false,
  );
  if (isOurs) {
    try {
      await make(join(making, name));
      await rename(join(making, name), path);
    } catch (error) {
      // So that the next one tries again, and says again what is wrong.
      await rm(making, { recursive: true });
      throw error;
    }
  }
  await waitUntil(`another worker has made ${name}`, () => existsSync(path), 60_000);
  return path;
}
