import type { Queries } from '../database/database.ts';
import { readPage } from '../database/page.ts';
import type { ListQuery, PredictionPage } from './predictions.ts';
import { predictionOf } from './rows.ts';

/** One page, newest first. */
export async function listPredictions(queries: Queries, query: ListQuery): Promise<PredictionPage> {
  const { rows, next, previous } = await readPage(query, ({ direction, limit, beyond }) => {
    let select = queries
      .selectFrom('predictions')
      .selectAll()
      .where('account', '=', query.account)
      .orderBy('created_at', direction)
      .orderBy('id', direction)
      .limit(limit);
    if (query.createdAfter) select = select.where('created_at', '>=', query.createdAfter);
    if (query.createdBefore) select = select.where('created_at', '<', query.createdBefore);
    if (query.source) select = select.where('source', '=', query.source);
    if (beyond) select = select.where(beyond);
    return select.execute();
  });
  return { predictions: rows.map(predictionOf), next, previous };
}
