import { execFileSync } from 'node:child_process';

/** Compiles `src` to `dist` once before the tests: engine processes and worker threads run the compiled files. */
export default function build(): void {
  execFileSync('npx', ['tsc', '-p', 'tsconfig.build.json'], { stdio: 'inherit' });
}
