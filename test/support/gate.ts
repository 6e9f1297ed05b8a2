import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestServer } from './server.ts';

/** Holds a prediction of `test/echo` until the test has seen what it wants to see while that runs. */
export interface Gate {
  /** Inputs with which it makes steps of a few milliseconds, however many, until the gate is open. */
  running: { steps: number; step_ms: number; until: string };
  /** Its path alone, for the input `until`. */
  path: string;
  open(): void;
}

/** More steps of a few milliseconds than any test has time for. */
export const endless = 1_000_000;

let made = 0;

export function makeGate({ home }: Pick<TestServer, 'home'>): Gate {
  const path = join(home, `gate-${made++}`);
  return { path, running: { steps: endless, step_ms: 10, until: path }, open: () => writeFileSync(path, '') };
}
