import { setTimeout } from 'node:timers/promises';
import type { Logger } from '../base/log.ts';
import { type EngineProcess, startEngineProcess } from './engine-process.ts';

const firstPauseMs = 100;
const longestPauseMs = 30_000;
/** How long an engine may take to leave when it is told to. */
const shutdownMs = 1_000;

/** A place for one engine: whenever its process ends, another is started, after growing pauses if it keeps failing. */
export interface EngineSlot {
  /** The engine of this slot once it is ready; `undefined` when the slot retires first. */
  engine(): Promise<EngineProcess | undefined>;
  /** Whether the last try to start an engine failed. */
  isFailing(): boolean;
  /** Starts no more engines and hands none out. The one that is at work stays until `close`. */
  retire(): void;
  close(): Promise<void>;
}

export function openEngineSlot(environment: NodeJS.ProcessEnv, log: Logger): EngineSlot {
  const retiring = new AbortController();
  let failing = false;
  let current: Promise<EngineProcess | undefined> = start(0);

  /** Goes on until an engine is ready or the slot retires. @param failures in a row before this one */
  async function start(failures: number): Promise<EngineProcess | undefined> {
    if (failures > 0) await pause(Math.min(firstPauseMs * 2 ** (failures - 1), longestPauseMs));
    if (retiring.signal.aborted) return undefined;
    try {
      const engine = await startEngineProcess(environment, retiring.signal, log);
      failing = false;
      void engine.ended.then((how) => {
        if (retiring.signal.aborted) return;
        log.warn({ how }, 'an engine process ended; starting another');
        current = start(1);
      });
      return engine;
    } catch (error) {
      if (retiring.signal.aborted) return undefined;
      failing = true;
      log.error({ error: error instanceof Error ? error.message : error, failures: failures + 1 }, 'no engine');
      return start(failures + 1);
    }
  }

  async function pause(milliseconds: number): Promise<void> {
    await setTimeout(milliseconds, undefined, { signal: retiring.signal }).catch(() => {});
  }

  return {
    async engine() {
      for (;;) {
        const engine = await current;
        if (retiring.signal.aborted) return undefined;
        if (engine && !engine.hasEnded()) return engine;
      }
    },
    isFailing: () => failing,
    retire: () => retiring.abort(),
    async close() {
      retiring.abort();
      const engine = await current;
      if (!engine) return;
      engine.send({ type: 'shutdown' });
      await Promise.race([engine.ended, setTimeout(shutdownMs, undefined, { ref: false })]);
      engine.kill();
      await engine.ended;
    },
  };
}
