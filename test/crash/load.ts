import { setTimeout as pause } from 'node:timers/promises';
import type { Work } from './work.ts';

const lookMs = 200;
/** How many predictions wait or run at any time. */
export const ahead = 8;

export interface Load {
  /** Ids that a cancel was sent for. */
  canceled: ReadonlySet<string>;
  /** How often a prediction was seen running. */
  seenRunning(): number;
  /** How often one was seen that had been interrupted. */
  seenAgain(): number;
  /** Ends and returns the ids of all predictions that the server said it accepted. */
  stop(): Promise<string[]>;
}

interface Answer {
  id: string;
  status: string;
  logs: string;
}

/** A client that keeps the queue filled and goes on when the server is away. Now and then it cancels. */
export function startLoad(origin: () => string, works: readonly Work[], random: () => number): Load {
  const accepted: string[] = [];
  const canceled = new Set<string>();
  let stopping = false;
  let running = 0;
  let again = 0;
  const call = async (path: string, body?: object): Promise<Answer | undefined> => {
    try {
      const init = body && {
        method: 'POST',
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json' },
      };
      const answer = await fetch(`${origin()}/v1${path}`, { ...init, signal: AbortSignal.timeout(5_000) });
      return answer.ok ? ((await answer.json()) as Answer) : undefined;
    } catch {
      // The server was killed or is not up again.
      await pause(50);
      return undefined;
    }
  };
  const keepOneGoing = async (): Promise<void> => {
    while (!stopping) {
      const { version, input } = works[Math.floor(random() * works.length)]!;
      const created = await call('/predictions', { version, input });
      if (!created) continue;
      accepted.push(created.id);
      const cancelAt = random() < 0.1 ? 1 + Math.floor(random() * 5) : 0;
      for (let look = 1; !stopping; look++) {
        await pause(lookMs);
        if (look === cancelAt) {
          // Also when the answer does not come: the server may have been killed after it had been written down.
          canceled.add(created.id);
          await call(`/predictions/${created.id}/cancel`, {});
        }
        const now = await call(`/predictions/${created.id}`);
        if (now?.logs.includes('; starting again, attempt ')) again++;
        if (now?.status === 'processing') running++;
        else if (now && now.status !== 'starting') break;
      }
    }
  };
  const going = Array.from({ length: ahead }, keepOneGoing);
  return {
    canceled,
    seenRunning: () => running,
    seenAgain: () => again,
    async stop() {
      stopping = true;
      await Promise.all(going);
      return accepted;
    },
  };
}
