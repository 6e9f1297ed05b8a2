import type { Database } from '../database/database.ts';
import { channels } from './channels.ts';

/** How often it is said that somebody watches: an engine believes it for three times as long. */
const sayMs = 1_000;
/** PostgreSQL's limit for a message, bytes. */
const longestMessage = 8_000;

/** Pictures of predictions that run, from whichever host runs them. They are nowhere kept: who misses one sees the next. */
export interface Previews {
  /** Returns how to stop. */
  watch(id: string, heard: (picture: string) => void): () => void;
  close(): void;
}

export function createPreviews(database: Pick<Database, 'listen' | 'notify'>): Previews {
  const watching = new Map<string, Set<(picture: string) => void>>();
  const stopListening = database.listen(channels.preview, (message) => {
    const [id, picture] = message.split(' ', 2) as [string, string];
    for (const heard of [...(watching.get(id) ?? [])]) heard(picture);
  });
  const timer = setInterval(() => {
    for (const id of watching.keys()) database.notify(channels.watched, id);
  }, sayMs);
  timer.unref();
  return {
    watch(id, heard) {
      const others = watching.get(id);
      if (!others) database.notify(channels.watched, id);
      // Told apart from the same function given twice.
      const own = (picture: string): void => heard(picture);
      watching.set(id, (others ?? new Set()).add(own));
      return () => {
        const left = watching.get(id);
        left?.delete(own);
        if (left?.size === 0) watching.delete(id);
      };
    },
    close() {
      stopListening();
      clearInterval(timer);
      watching.clear();
    },
  };
}

/** Shows a picture of a running prediction to those who watch it. @param picture a data URL */
export function showPreview(database: Pick<Database, 'notify'>, id: string, picture: string): void {
  const message = `${id} ${picture}`;
  if (message.length < longestMessage) database.notify(channels.preview, message);
}
