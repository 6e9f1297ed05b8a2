/** How long lines are collected before they are written together. */
const collectMs = 100;
/** Longest log of one attempt, characters. A model that writes without end must not fill the database. */
export const longestLog = 1024 * 1024;

/** Collects log text and hands it on now and then. */
export interface LogWriter {
  add(text: string): void;
  /** Waits for writes under way. @returns what is not written yet; the caller writes it together with the end. */
  end(): Promise<string>;
}

export function createLogWriter(write: (text: string) => Promise<void>): LogWriter {
  let waiting = '';
  let left = longestLog;
  let timer: NodeJS.Timeout | undefined;
  let isEnding = false;
  let writing = Promise.resolve();

  const flush = (): void => {
    timer = undefined;
    writing = writing.then(async () => {
      const text = waiting;
      waiting = '';
      // What came while the write before took its time has gone with one of those that waited behind it.
      if (text !== '') await write(text);
    });
    // Whoever waits for the end of the log meets the failure there.
    writing.catch(() => {});
  };

  return {
    add(text) {
      if (left <= 0) return;
      left -= text.length;
      waiting +=
        left > 0 ? text : `${text.slice(0, left)}\n--- the log is longer than 1 MiB; the rest is left out ---\n`;
      if (!isEnding) timer ??= setTimeout(flush, collectMs);
    },
    async end() {
      // What comes while writes are under way is the caller's too, and nobody else's.
      isEnding = true;
      clearTimeout(timer);
      await writing;
      return waiting;
    },
  };
}
