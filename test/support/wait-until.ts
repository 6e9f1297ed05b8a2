import { setTimeout as pause } from 'node:timers/promises';

const shortestPauseMs = 10;
const longestPauseMs = 100;

/** Waits for a condition; what is awaited stands in the error when it does not come about in time. */
export async function waitUntil<Result>(
  what: string,
  condition: () => Promise<Result> | Result,
  deadlineMs = 30_000,
): Promise<NonNullable<Exclude<Result, false>>> {
  const begun = performance.now();
  for (;;) {
    const result = await condition();
    if (result) return result as NonNullable<Exclude<Result, false>>;
    const elapsedMs = performance.now() - begun;
    if (elapsedMs > deadlineMs) throw new Error(`Not within ${deadlineMs} ms: ${what}`);
    // A tenth longer than it takes: a server that is asked a hundred times a second has little left for its work.
    await pause(Math.min(shortestPauseMs + elapsedMs / 10, longestPauseMs));
  }
}
