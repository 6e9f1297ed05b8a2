import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { waitUntil } from './wait-until.ts';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** A `darkroom serve` or `darkroom worker` that runs as it would for a user: in a process of its own. */
export interface Program {
  pid: number;
  /** Origin of the server; empty for a worker. */
  origin: string;
  /** What it wrote to standard output. */
  output(): string;
  /** The last of what it wrote to standard error. */
  errors(): string;
  /** `kill -9`, and waits until it is gone. */
  kill(): Promise<void>;
  /** Asks it to end, and waits until it has and all that it wrote is here. @returns its exit code */
  end(): Promise<number | null>;
}

/** Starts it and waits for the line in which it says that it is ready. */
export async function startProgram(command: 'serve' | 'worker', env: Record<string, string>): Promise<Program> {
  const child = spawn(process.execPath, [main, command], { env: { ...process.env, ...env }, stdio: 'pipe' });
  let output = '';
  let errors = '';
  child.stdout.on('data', (text) => {
    output += text;
  });
  child.stderr.on('data', (text) => {
    errors = (errors + text).slice(-4_000);
  });
  // Not `exit`, which may come before the last that it wrote.
  const exited = once(child, 'close');
  const ready = command === 'serve' ? /Darkroom listens on (\S+)\n/ : /Darkroom worker ready()/;
  const origin = await waitUntil(
    `${command} is ready`,
    () => {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`${command} ended: ${output}${errors}`);
      return ready.exec(output);
    },
    90_000,
  );
  return {
    pid: child.pid!,
    origin: origin[1]!,
    output: () => output,
    errors: () => errors,
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
    async end() {
      child.kill('SIGTERM');
      await exited;
      return (child as ChildProcess).exitCode;
    },
  };
}

/** Process ids of all children of the given processes. */
export function childrenOf(parents: readonly number[]): number[] {
  return processes()
    .filter(({ parent }) => parents.includes(parent))
    .map(({ pid }) => pid);
}

export function isRunning(pid: number): boolean {
  return processes().some((process) => process.pid === pid);
}

/** All processes but those that have ended and that nobody has asked about yet. */
function processes(): { pid: number; parent: number }[] {
  return execFileSync('ps', ['-A', '-o', 'pid=,ppid=,stat='], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , state]) => !state!.startsWith('Z'))
    .map(([pid, parent]) => ({ pid: Number(pid), parent: Number(parent) }));
}

/** Runs a command of `darkroom` to its end. */
export async function runProgram(
  args: readonly string[],
  env: Record<string, string> = {},
  folder?: string,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [main, ...args], { cwd: folder, env: { ...process.env, ...env } });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].on('data', (text) => {
      output[name] += text;
    });
  }
  await once(child, 'close');
  return { code: child.exitCode, ...output };
}
