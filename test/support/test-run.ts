import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sharedFolder } from './once.ts';
import { endPostgres } from './postgres.ts';

/** Before all tests; @returns what is done after them */
export default function setUp(): () => void {
  build();
  const shared = mkdtempSync(join(tmpdir(), 'darkroom-tests-'));
  process.env[sharedFolder] = shared;
  const tearDown = (): void => {
    process.off('exit', tearDown);
    endPostgres(shared);
    rmSync(shared, { recursive: true, force: true });
  };
  // Also when somebody interrupts the run.
  process.on('exit', tearDown);
  return tearDown;
}

/**
 * Compiles `src` to `dist` once before the tests: engine processes and worker threads run the compiled files.
 * Type errors do not stop it: they are reported by `npm run typecheck`, and a test of another file can still run.
 */
function build(): void {
  const { error } = spawnSync('node_modules/.bin/tsc', ['-p', 'tsconfig.build.json', '--noCheck'], {
    stdio: 'inherit',
  });
  if (error) throw error;
  spawnSync(process.execPath, ['tools/prune-dist.js'], { stdio: 'inherit' });
}
