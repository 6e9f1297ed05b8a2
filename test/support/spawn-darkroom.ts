import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface RunningDarkroom {
  child: ChildProcess;
  /** `http://127.0.0.1:<port>` of `serve`; empty for `worker`. */
  origin: string;
  /** Everything it wrote to standard error. */
  stderr(): string;
  /** Asks it to end and waits; @returns its exit code */
  stop(): Promise<number | null>;
}

/** Starts `darkroom serve` or `darkroom worker` as a process of its own and waits for its ready line. */
export async function spawnDarkroom(
  command: 'serve' | 'worker',
  environment: Record<string, string>,
): Promise<RunningDarkroom> {
  const child = spawn(process.execPath, [main, command], {
    env: { ...process.env, PORT: '0', HF_HOME: environment.DARKROOM_HOME, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const exited = once(child, 'exit');
  const ready = new Promise<string>((resolve, reject) => {
    let stdout = '';
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
      const line = /^Darkroom (?:listens on (\S+)|worker ready.*)$/m.exec(stdout);
      if (line) resolve(line[1] ?? '');
    });
    void exited.then(() => reject(new Error(`darkroom ${command} ended before it was ready:\n${stderr}`)));
  });
  return {
    child,
    origin: await ready,
    stderr: () => stderr,
    async stop() {
      child.kill('SIGTERM');
      await exited;
      return child.exitCode;
    },
  };
}

/** Runs a command of `darkroom` to its end. */
export async function runDarkroom(
  args: readonly string[],
  environment: Record<string, string> = {},
  folder?: string,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [main, ...args], {
    cwd: folder,
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk) => {
    output.stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    output.stderr += chunk;
  });
  await once(child, 'close');
  return { code: child.exitCode, ...output };
}
