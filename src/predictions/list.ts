import { sql } from 'kysely';
import type { Queries } from '../database/database.ts';
import { type Cursor, formatCursor, parseCursor } from './cursor.ts';
import type { Prediction } from './prediction.ts';
import type { ListQuery, PredictionPage } from './predictions.ts';
import { predictionOf } from './rows.ts';

/** One page by key, newest first; costs the same however far back it lies. */
export async function listPredictions(queries: Queries, query: ListQuery): Promise<PredictionPage> {
  const cursor = query.cursor === undefined ? undefined : parseCursor(query.cursor);
  const newer = cursor?.direction === 'newer';
  let select = queries
    .selectFrom('predictions')
    .selectAll()
    .where('account', '=', query.account)
    .orderBy('created_at', newer ? 'asc' : 'desc')
    .orderBy('id', newer ? 'asc' : 'desc')
    .limit(query.limit + 1);
  if (query.createdAfter) select = select.where('created_at', '>=', query.createdAfter);
  if (query.createdBefore) select = select.where('created_at', '<', query.createdBefore);
  if (query.source) select = select.where('source', '=', query.source);
  if (cursor) {
    const key = sql`(${cursor.createdAt}::timestamptz, ${cursor.id}::text)`;
    select = select.where(newer ? sql<boolean>`(created_at, id) > ${key}` : sql<boolean>`(created_at, id) < ${key}`);
  }
  const rows = await select.execute();
  const more = rows.length > query.limit;
  const predictions = rows.slice(0, query.limit).map(predictionOf);
  if (newer) predictions.reverse();
  return {
    predictions,
    // Where a cursor led us from there is something on the other side of it.
    next: (newer || more) && predictions.length > 0 ? cursorAt('older', predictions.at(-1)!) : undefined,
    previous: (newer ? more : cursor) && predictions.length > 0 ? cursorAt('newer', predictions[0]!) : undefined,
  };
}

function cursorAt(direction: Cursor['direction'], { createdAt, id }: Prediction): string {
  return formatCursor({ direction, createdAt, id });
}
