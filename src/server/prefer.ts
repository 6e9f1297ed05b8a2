/** The `Prefer` header (RFC 7240): how long a caller wants its create request to be held. */

const longestWaitSeconds = 60;

/** The reply leaves this much before the time is over: the Python client's own timeout lies only just behind it. */
const releaseEarlyMs = 250;

export interface Wait {
  /** What `Preference-Applied` says. */
  seconds: number;
  holdMs: number;
}

/**
 * Reads leniently: several preferences, spaces, any case, fractions (rounded up), more than a minute (cut to it). What
 * makes no sense is no preference, as RFC 7240 §2 asks.
 */
export function parsePrefer(header: string | string[] | undefined): Wait | undefined {
  const preferences = [header ?? []].flat().join(',').split(',');
  for (const preference of preferences) {
    const [name = ''] = preference.split(';');
    const match = /^wait(?:=(.*))?$/.exec(name.toLowerCase().replace(/["\s]/g, ''));
    if (!match) continue;
    const asked = match[1] === undefined ? longestWaitSeconds : decimal(match[1]);
    if (asked === undefined || asked <= 0) return undefined;
    const seconds = Math.min(Math.ceil(asked), longestWaitSeconds);
    return { seconds, holdMs: seconds * 1000 - releaseEarlyMs };
  }
  return undefined;
}

function decimal(text: string): number | undefined {
  return /^\d{1,9}(?:\.\d+)?$/.test(text) ? Number(text) : undefined;
}
