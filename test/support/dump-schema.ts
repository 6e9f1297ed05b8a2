import { type Kysely, sql } from 'kysely';
import type { Tables } from '../../src/database/tables.ts';

/** The tables of the public schema as the database sees them, in a form that is the same on PGlite and PostgreSQL. */
export async function dumpSchema(kysely: Kysely<Tables>): Promise<string> {
  const { rows: columns } = await sql<{ table: string; definition: string }>`
    select c.relname as table,
      '  ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
        || case when a.attnotnull then ' not null' else '' end
        || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '') as definition
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
    where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'
    order by c.relname, a.attnum`.execute(kysely);
  const { rows: constraints } = await sql<{ table: string; definition: string }>`
    select conrelid::regclass::text as table, '  constraint ' || conname || ' ' || pg_get_constraintdef(oid) as definition
    from pg_constraint
    where connamespace = 'public'::regnamespace and contype in ('p', 'f', 'u', 'c')
    order by conname`.execute(kysely);
  const { rows: indexes } = await sql<{ table: string; definition: string }>`
    select tablename as table, indexdef as definition from pg_indexes
    where schemaname = 'public' and not exists (select from pg_constraint where conname = indexname)
    order by indexname`.execute(kysely);
  const of = (rows: { table: string; definition: string }[], table: string) =>
    rows.filter((row) => row.table === table).map(({ definition }) => definition);
  const tables = [...new Set(columns.map(({ table }) => table))].map((table) => {
    const body = [...of(columns, table), ...of(constraints, table)].join(',\n');
    return [`create table ${table} (\n${body}\n);`, ...of(indexes, table).map((index) => `${index};`)].join('\n');
  });
  return `-- What the migrations make, as the database tells it. Written by \`UPDATE_SCHEMA=1 npx vitest run src/database\`.\n\n${tables.join('\n\n')}\n`;
}
