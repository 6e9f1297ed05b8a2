import { type Kysely, sql } from 'kysely';
import type { Tables } from '../../src/database/tables.ts';

/** One change of state, as the database committed it. */
export interface Step {
  id: string;
  before: string;
  after: string;
}

/** Makes the database itself write down every change of state, so that nothing above it can hide one. */
export async function installAudit(kysely: Kysely<Tables>): Promise<void> {
  await sql`create table audit (place bigserial, id text, before text, after text)`.execute(kysely);
  await sql`create function write_audit() returns trigger language plpgsql as $$ begin
    if old.status <> new.status then
      insert into audit (id, before, after) values (new.id, old.status, new.status);
    end if;
    return new;
  end $$`.execute(kysely);
  await sql`create trigger audit after update on predictions for each row execute function write_audit()`.execute(
    kysely,
  );
}

export async function readAudit(kysely: Kysely<Tables>): Promise<Map<string, Step[]>> {
  const { rows } = await sql<Step>`select id, before, after from audit order by place`.execute(kysely);
  return grouped(rows);
}

function grouped(rows: Step[]): Map<string, Step[]> {
  const groups = new Map<string, Step[]>();
  for (const row of rows) groups.set(row.id, [...(groups.get(row.id) ?? []), row]);
  return groups;
}
