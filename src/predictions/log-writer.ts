/** How long lines are collected before they are written together. */
const collectMs = 100;
/** Longest log of one attempt, characters. A model that writes without end must not fill the database. */
export const longestLog = 1024 * 1024;

/** Collects log text and hands it on now and then. */
export interface LogWriter {
  add(text: string): void;
  /** Resolves when everything added so far is written. */
  flush(): Promise<void>;
}

export function createLogWriter(write: (text: string) => Promise<void>): LogWriter {
  let waiting = '';
  let left = longestLog;
  let timer: NodeJS.Timeout | undefined;
  let writing = Promise.resolve();

  const flush = (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    writing = writing.then(async () => {
      const text = waiting;
      waiting = '';
      if (text !== '') await write(text);
    });
    return writing;
  };

  return {
    add(text) {
      if (left <= 0) return;
      left -= text.length;
      waiting +=
        left > 0 ? text : `${text.slice(0, left)}\n--- the log is longer than 1 MiB; the rest is left out ---\n`;
      // The promise is kept in `writing`; whoever waits for the end of the log meets its failure there.
      timer ??= setTimeout(() => void flush().catch(() => {}), collectMs);
    },
    flush,
  };
}
