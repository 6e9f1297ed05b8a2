import { setTimeout as pause } from 'node:timers/promises';

/** Waits for a condition; what is awaited stands in the error when it does not come about in time. */
export async function waitUntil<Result>(
  what: string,
  condition: () => Promise<Result> | Result,
  deadlineMs = 30_000,
): Promise<NonNullable<Exclude<Result, false>>> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    const result = await condition();
    if (result) return result as NonNullable<Exclude<Result, false>>;
    if (performance.now() > end) throw new Error(`Not within ${deadlineMs} ms: ${what}`);
    await pause(10);
  }
}
