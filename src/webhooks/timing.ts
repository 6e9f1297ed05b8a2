/** How webhooks are paced; tests have their own. */
export interface WebhookTiming {
  /** How long a receiver may take to answer. */
  timeoutMs: number;
  /** How often deliveries are looked for although nobody announced any. */
  lookMs: number;
  /** The first pause after an attempt that failed; each later one is as long as all before it together. */
  firstPauseMs: number;
  longestPauseMs: number;
  /** `output` and `logs` of one prediction come at most this often. */
  throttleMs: number;
  /** How long requests under way may take when the process ends. */
  graceMs: number;
}

export const usualTiming: WebhookTiming = {
  timeoutMs: 10_000,
  lookMs: 1_000,
  firstPauseMs: 1_000,
  longestPauseMs: 3_600_000,
  throttleMs: 500,
  graceMs: 1_000,
};

/** Requests of one account to one host that are under way at once; a slow receiver holds up nobody but itself. */
export const mostPerHost = 16;
