import { type ChildProcess, fork } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { entryPoint } from '../base/entry-point.ts';
import type { Logger } from '../base/log.ts';
import type { EngineMessage, HostMessage } from '../worker/protocol.ts';

/** One engine child that is ready for predictions. */
export interface EngineProcess {
  send(message: HostMessage): void;
  /** The listener hears every message until the next listener takes its place. */
  onMessage(heard: (message: EngineMessage) => void): void;
  /**
   * As `onMessage`, for how it ended; heard at once when it has. For each of many predictions: `ended` would remember
   * whoever waited for it.
   */
  onEnd(heard: (how: string) => void): void;
  /** How it ended, in words, once it has. */
  ended: Promise<string>;
  hasEnded(): boolean;
  /** Ends it at once, whatever it does. */
  kill(): void;
}

/** Longest time from start to `ready`. */
const readyMs = 60_000;

/** An engine neither talks to the database nor to callers. */
const keptFromEngines = ['DATABASE_URL', 'DARKROOM_API_TOKENS'];

/**
 * @param signal ends a process that is not ready yet
 * @throws Error when the process ends, or says nothing, before it is ready
 */
export async function startEngineProcess(
  environment: NodeJS.ProcessEnv,
  signal: AbortSignal,
  log: Logger,
): Promise<EngineProcess> {
  const env = { ...environment };
  for (const name of keptFromEngines) delete env[name];
  const child = fork(entryPoint('worker/main'), { env, execArgv: [], stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  let heard: (message: EngineMessage) => void = () => {};
  child.on('message', (message) => heard(message as EngineMessage));
  captureLines(child, log);
  let over: { how: string } | undefined;
  let heardEnd: (how: string) => void = () => {};
  const ended = endOf(child).then((how) => {
    over = { how };
    heardEnd(how);
    return how;
  });

  const engine: EngineProcess = {
    send(message) {
      // A child that is gone cannot be told anything; its end is noticed by itself.
      if (child.connected) child.send(message, () => {});
    },
    onMessage(listener) {
      heard = listener;
    },
    onEnd(listener) {
      heardEnd = listener;
      if (over) listener(over.how);
    },
    ended,
    hasEnded: () => over !== undefined,
    kill: () => void child.kill('SIGKILL'),
  };
  const ready = new Promise<true>((resolve) => {
    engine.onMessage(({ type }) => type === 'ready' && resolve(true));
  });
  const timer = setTimeout(engine.kill, readyMs);
  signal.addEventListener('abort', engine.kill);
  const how = await Promise.race([ready, ended]);
  clearTimeout(timer);
  signal.removeEventListener('abort', engine.kill);
  if (how !== true)
    throw new Error(`the engine process ended, or was ended after ${readyMs / 1000} s, before it was ready (${how})`);
  log.debug({ engine: child.pid }, 'engine ready');
  return engine;
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ? `signal ${signal}` : `exit code ${code}`));
  });
}

function captureLines(child: ChildProcess, log: Logger): void {
  const capture = (stream: Readable, level: 'info' | 'warn'): void => {
    createInterface({ input: stream }).on('line', (line) => log[level]({ engine: child.pid }, line));
  };
  capture(child.stdout!, 'info');
  capture(child.stderr!, 'warn');
}
