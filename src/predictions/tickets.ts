import { fromKysely, PgBoss } from 'pg-boss';
import type { Logger } from '../base/log.ts';
import type { Database, Queries } from '../database/database.ts';

const queueName = 'predictions';

/**
 * The queue. A ticket in it says "this prediction waits to be started", and nothing more: it is made in the
 * transaction that makes the prediction `starting` and used up in the one that makes it `processing`. So there is
 * one truth about who runs what, the prediction's row, and no second one (an active job with a heartbeat of its
 * own) that could disagree with it.
 */
export interface Tickets {
  /**
   * @param again it had a ticket before and goes to the front
   * @param deployment what it runs under, if anything
   */
  add(transaction: Queries, predictionId: string, again: boolean, deployment?: string | null): Promise<void>;
  /** Tickets of new predictions, all at once. */
  addAll(transaction: Queries, tickets: readonly Ticket[]): Promise<void>;
  /** Uses up the oldest ticket that nobody else is about to use up. */
  take(transaction: Queries): Promise<Ticket | undefined>;
  close(): Promise<void>;
}

export interface Ticket {
  predictionId: string;
  /** On the ticket, so that it need not be looked up for the many that have none. */
  deployment?: string;
}

export async function openTickets(database: Database, log: Logger): Promise<Tickets> {
  const boss = new PgBoss({
    db: database.bossDb,
    backend: database.kind,
    schema: 'darkroom_queue',
    // Nothing is ever left active and tickets are deleted when they are used: there is nothing to supervise.
    supervise: false,
    schedule: false,
  });
  boss.on('error', (error) => log.error({ error: error.message }, 'the queue reports an error'));
  boss.on('warning', (warning) => log.warn({ warning: warning.message }, 'the queue warns'));
  await boss.start();
  await boss.createQueue(queueName);
  // pg-boss looks its queue up at the first use, over a connection of its own. On PGlite, which has one connection,
  // that look would wait for the transaction that waits for it.
  await boss.findJobs(queueName, { id: '00000000-0000-0000-0000-000000000000' });
  return {
    async add(transaction, predictionId, again, deployment) {
      const ticket: Ticket = deployment ? { predictionId, deployment } : { predictionId };
      await boss.send(queueName, ticket, { db: fromKysely(transaction), priority: again ? 1 : 0 });
    },
    async addAll(transaction, tickets) {
      const jobs = tickets.map((data) => ({ data }));
      await boss.insert(queueName, jobs, { db: fromKysely(transaction), returnId: false });
    },
    async take(transaction) {
      const db = fromKysely(transaction);
      const [job] = await boss.fetch<Ticket>(queueName, { db });
      if (!job) return undefined;
      await boss.deleteJob(queueName, job.id, { db });
      return job.data;
    },
    close: () => boss.stop({ close: false, graceful: false }),
  };
}
