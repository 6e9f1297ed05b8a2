import { setTimeout as pause } from 'node:timers/promises';

const firstPauseMs = 50;
const longestPauseMs = 2_000;
const patienceMs = 60_000;

/**
 * Tries a write again while the database is away for a moment. What it would refuse again (bad data, a broken rule,
 * wrong SQL: SQLSTATE classes 22, 23, 42) is thrown at once.
 */
export async function persist<Result>(write: () => Promise<Result>): Promise<Result> {
  const giveUpAt = performance.now() + patienceMs;
  for (let delay = firstPauseMs; ; delay = Math.min(delay * 2, longestPauseMs)) {
    try {
      return await write();
    } catch (error) {
      const code = String((error as { code?: unknown }).code ?? '');
      if (/^(22|23|42)...$/.test(code) || performance.now() > giveUpAt) throw error;
      await pause(delay);
    }
  }
}
