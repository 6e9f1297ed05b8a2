const single = Math.fround;

/**
 * Solves equation 11 of the paper: weights whose sums with the powers of the distances are the moments of eʰ. These are
 * taken in float32, as in the reference: their digits cancel.
 */
export function pointWeights(distances: readonly number[], h: number, bound: number): number[] {
  // The reference takes a half where one point is left, and so does the paper: the error is of the same order.
  if (distances.length === 1) return [1 / 2];
  let moment = single(single(Math.expm1(h)) / h);
  let factorial = 1;
  const rows = distances.map((_, power) => {
    moment = power === 0 ? single(moment - 1) : single(single(moment / h) - single(1 / factorial));
    const row = [...distances.map((distance) => single(distance ** power)), single(single(moment * factorial) / bound)];
    factorial *= power + 2;
    return row;
  });
  // Gauss–Jordan; the leading entries are powers of distinct distances, so none vanishes.
  for (const [pivot, row] of rows.entries()) {
    const lead = row[pivot]!;
    for (const [column, value] of row.entries()) row[column] = value / lead;
    for (const other of rows) {
      if (other === row) continue;
      const factor = other[pivot]!;
      for (const [column, value] of row.entries()) other[column] = other[column]! - factor * value;
    }
  }
  return rows.map((row) => row.at(-1)!);
}
