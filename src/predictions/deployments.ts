import type { Selectable } from 'kysely';
import { InputError } from '../base/errors.ts';
import type { Database, Queries } from '../database/database.ts';
import type { DeploymentsTable } from '../database/tables.ts';
import { channels } from './channels.ts';
import { wakeHeld } from './instances.ts';
import type { Tickets } from './tickets.ts';

/** What predictions of a deployment run as. */
export interface DeploymentConfiguration {
  version: string;
  hardware: string;
  minInstances: number;
  /** How many of its predictions run at the same time. */
  maxInstances: number;
}

/** A named configuration, as its current release has it. */
export interface Deployment extends DeploymentConfiguration {
  /** `owner/name`. */
  id: string;
  account: string;
  name: string;
  model: string;
  /** Number of the release, from 1. */
  release: number;
  releasedAt: Date;
}

export type NewDeployment = Omit<Deployment, 'release' | 'releasedAt'>;

/** As many as fit on one page of the list. */
export const mostDeployments = 100;

/** Foreign and unknown ids are the same: `undefined`. */
export interface Deployments {
  /** `undefined` when the account has one of this name. @throws InputError when it has too many */
  create(deployment: NewDeployment): Promise<Deployment | undefined>;
  get(account: string, id: string): Promise<Deployment | undefined>;
  /** Newest first. */
  list(account: string): Promise<Deployment[]>;
  /** A new release, unless nothing changes. */
  update(account: string, id: string, changes: Partial<DeploymentConfiguration>): Promise<Deployment | undefined>;
  /** `'busy'` while predictions of it have not ended. */
  delete(account: string, id: string): Promise<'deleted' | 'busy' | undefined>;
}

export function createDeployments(database: Database, tickets: Tickets): Deployments {
  const { kysely } = database;
  return {
    async create(deployment) {
      const kept = await kysely
        .selectFrom('deployments')
        .select('id')
        .where('account', '=', deployment.account)
        .execute();
      if (kept.length >= mostDeployments) {
        throw new InputError(`An account has at most ${mostDeployments} deployments. Delete one of them first.`);
      }
      const row = await kysely
        .insertInto('deployments')
        .values(rowOf(deployment))
        .onConflict((conflict) => conflict.doNothing())
        .returningAll()
        .executeTakeFirst();
      return row && deploymentOf(row);
    },
    get: (account, id) => find(kysely, account, id),
    async list(account) {
      const rows = await kysely
        .selectFrom('deployments')
        .selectAll()
        .where('account', '=', account)
        .orderBy('created_at', 'desc')
        .orderBy('id')
        .execute();
      return rows.map(deploymentOf);
    },
    async update(account, id, changes) {
      const updated = await kysely.transaction().execute(async (transaction) => {
        const before = await find(transaction, account, id, 'lock');
        if (!before) return undefined;
        const after = { ...before, ...changes };
        if (JSON.stringify(after) === JSON.stringify(before)) return before;
        const row = await transaction
          .updateTable('deployments')
          .set((update) => ({
            ...rowOf(after),
            release: update('release', '+', 1),
            released_at: update.fn('clock_timestamp', []),
          }))
          .where('id', '=', id)
          .returningAll()
          .executeTakeFirstOrThrow();
        // What does not fit under the new limit is held again.
        await wakeHeld(transaction, tickets, id, after.maxInstances);
        return deploymentOf(row);
      });
      database.notify(channels.waiting, '');
      return updated;
    },
    delete: (account, id) =>
      kysely.transaction().execute(async (transaction) => {
        if (!(await find(transaction, account, id, 'lock'))) return undefined;
        const unfinished = await transaction
          .selectFrom('predictions')
          .select('id')
          .where('deployment', '=', id)
          .where('status', 'in', ['starting', 'processing'])
          .limit(1)
          .executeTakeFirst();
        if (unfinished) return 'busy';
        await transaction.deleteFrom('held_predictions').where('deployment', '=', id).execute();
        await transaction.deleteFrom('deployments').where('id', '=', id).execute();
        return 'deleted';
      }),
  };
}

/** What cannot be an id is not looked up: no database takes every text. */
async function find(queries: Queries, account: string, id: string, lock?: 'lock'): Promise<Deployment | undefined> {
  if (!/^[a-z0-9._/-]{1,200}$/.test(id)) return undefined;
  const select = queries.selectFrom('deployments').selectAll().where('id', '=', id).where('account', '=', account);
  const row = await (lock ? select.forUpdate() : select).executeTakeFirst();
  return row && deploymentOf(row);
}

/** @throws InputError when the numbers contradict each other */
function rowOf({ id, account, name, model, version, hardware, minInstances, maxInstances }: NewDeployment) {
  if (minInstances > maxInstances) {
    throw new InputError('min_instances must not be larger than max_instances.', 'min_instances');
  }
  return { id, account, name, model, version, hardware, min_instances: minInstances, max_instances: maxInstances };
}

function deploymentOf(row: Selectable<DeploymentsTable>): Deployment {
  return {
    id: row.id,
    account: row.account,
    name: row.name,
    model: row.model,
    version: row.version,
    hardware: row.hardware,
    minInstances: row.min_instances,
    maxInstances: row.max_instances,
    release: row.release,
    releasedAt: row.released_at,
  };
}
