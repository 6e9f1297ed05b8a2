/** A command of `darkroom`; each is the default export of its file. */
export interface Command {
  /** What `--help` prints; ends with a newline. */
  help: string;
  /** @returns the exit code */
  run(args: string[]): Promise<number>;
}

/** The command line cannot be understood; the message says how to write it. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Resolves with the signal when the process is asked to end. A second Ctrl+C ends it at once. */
export function untilAskedToEnd(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve(signal));
  });
}
