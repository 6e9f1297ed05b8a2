import { type RawBuilder, sql } from 'kysely';
import { type Cursor, formatCursor, parseCursor } from './cursor.ts';

/** Part of a list that has the newest first. */
export interface RowPage<Row> {
  rows: Row[];
  next: string | undefined;
  previous: string | undefined;
}

/** What a page asks of the query that reads it, which orders by (created_at, id). */
export interface PagePart {
  direction: 'asc' | 'desc';
  limit: number;
  /** For a `where`; absent on the first page. */
  beyond: RawBuilder<boolean> | undefined;
}

/**
 * One page by key: costs the same however far back it lies, and what is new meanwhile does not shift it.
 *
 * @throws InputError when the cursor is not one of ours
 */
export async function readPage<Row extends { created_at: Date; id: string }>(
  { cursor: text, limit }: { cursor?: string; limit: number },
  read: (part: PagePart) => Promise<Row[]>,
): Promise<RowPage<Row>> {
  const cursor = text === undefined ? undefined : parseCursor(text);
  const newer = cursor?.direction === 'newer';
  const found = await read({
    direction: newer ? 'asc' : 'desc',
    limit: limit + 1,
    beyond: cursor && beyond(cursor),
  });
  const more = found.length > limit;
  const rows = found.slice(0, limit);
  if (newer) rows.reverse();
  return {
    rows,
    // Where a cursor led us from there is something on the other side of it.
    next: (newer || more) && rows.length > 0 ? cursorAt('older', rows.at(-1)!) : undefined,
    previous: (newer ? more : cursor) && rows.length > 0 ? cursorAt('newer', rows[0]!) : undefined,
  };
}

function beyond({ direction, createdAt, id }: Cursor): RawBuilder<boolean> {
  const key = sql`(${createdAt}::timestamptz, ${id}::text)`;
  return direction === 'newer' ? sql<boolean>`(created_at, id) > ${key}` : sql<boolean>`(created_at, id) < ${key}`;
}

function cursorAt(
  direction: Cursor['direction'],
  { created_at: createdAt, id }: { created_at: Date; id: string },
): string {
  return formatCursor({ direction, createdAt, id });
}
