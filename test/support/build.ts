import { spawnSync } from 'node:child_process';

/**
 * Compiles `src` to `dist` once before the tests: engine processes and worker threads run the compiled files.
 * Type errors do not stop it: they are reported by `npm run typecheck`, and a test of another file can still run.
 */
export default function build(): void {
  const { error } = spawnSync('node_modules/.bin/tsc', ['-p', 'tsconfig.build.json', '--noCheck'], {
    stdio: 'inherit',
  });
  if (error) throw error;
}
