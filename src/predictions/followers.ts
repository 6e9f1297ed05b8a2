import type { Logger } from '../base/log.ts';
import type { Database } from '../database/database.ts';
import { channels } from './channels.ts';
import { type Progress, readProgress } from './progress.ts';

/** How often the database is asked about all that is followed, in case a message was lost. */
const lookMs = 2_000;
/** How many predictions are read at once: an embedded database answers nobody else meanwhile. */
const batch = 200;
/** How long those who begin to follow are collected: after a restart all come back at once. */
const joinMs = 100;

interface Follower {
  withLogs: boolean;
  heard(progress: Progress): void;
}

/**
 * Those who follow predictions while they run. Any number of them cost one listener and one slow query; what they are
 * told is always the row as it stands, so nothing is kept for who is slow.
 */
export interface Followers {
  /**
   * Tells how it stands a moment after now, so that nothing is missed by who read it before, and again whenever something
   * has changed, or may have. Returns how to stop.
   */
  follow(id: string, withLogs: boolean, heard: (progress: Progress) => void): () => void;
  close(): void;
}

export function createFollowers(database: Database, log: Logger): Followers {
  const following = new Map<string, Set<Follower>>();
  /** Predictions to read once the reading under way is over. */
  const due = new Set<string>();
  let isReading = false;

  const look = (id: string): void => {
    due.add(id);
    if (!isReading) void readAll();
  };
  const readAll = async (): Promise<void> => {
    isReading = true;
    // Who asks in the same moment is read for together.
    await new Promise((resolve) => setImmediate(resolve));
    while (due.size > 0) {
      const ids = [...due].slice(0, batch);
      for (const id of ids) due.delete(id);
      const withLogs = new Set(ids.filter(wantsLogs));
      try {
        await tell(
          ids.filter((id) => !withLogs.has(id)),
          false,
        );
        await tell([...withLogs], true);
      } catch (error) {
        log.warn({ error: (error as Error).message }, 'followed predictions could not be read');
      }
    }
    isReading = false;
  };
  const tell = async (ids: string[], withLogs: boolean): Promise<void> => {
    if (ids.length === 0) return;
    for (const progress of await readProgress(database.kysely, ids, withLogs)) {
      for (const follower of [...(following.get(progress.id) ?? [])]) {
        // For one who came while the row was read without logs it is read again.
        if (withLogs || !follower.withLogs) follower.heard(progress);
      }
    }
  };
  const wantsLogs = (id: string): boolean => {
    for (const { withLogs } of following.get(id) ?? []) if (withLogs) return true;
    return false;
  };

  const joined = new Set<string>();
  let joining: NodeJS.Timeout | undefined;
  const lookAtJoined = (): void => {
    joining = undefined;
    for (const id of joined) if (following.has(id)) look(id);
    joined.clear();
  };

  const stopListening = [
    database.listen(channels.output, (id) => following.has(id) && look(id)),
    database.listen(channels.logged, (id) => wantsLogs(id) && look(id)),
    database.listen(channels.ended, (id) => following.has(id) && look(id)),
  ];
  const timer = setInterval(() => {
    for (const id of following.keys()) look(id);
  }, lookMs);
  timer.unref();

  return {
    follow(id, withLogs, heard) {
      const follower = { withLogs, heard };
      following.set(id, (following.get(id) ?? new Set()).add(follower));
      joined.add(id);
      joining ??= setTimeout(lookAtJoined, joinMs);
      return () => {
        const others = following.get(id);
        others?.delete(follower);
        if (others?.size === 0) following.delete(id);
      };
    },
    close() {
      for (const stop of stopListening) stop();
      clearInterval(timer);
      clearTimeout(joining);
      following.clear();
      due.clear();
    },
  };
}
