import { type ClipVocabulary, pairKey } from './clip-vocabulary.ts';

/**
 * Byte-pair encoding of one word (Sennrich et al. 2016, arXiv 1508.07909): the pair that was learnt first merges first,
 * from left to right, until no neighbours form a pair. Each token has one spelling into a pair, so a merge never makes
 * a pair that was learnt earlier, and a queue gives the same result as looking for the best pair again after each merge.
 * It takes n·log n, where looking again takes n² and a word of 100,000 letters would stop the engine for minutes.
 */
export function mergeWord(vocabulary: ClipVocabulary, bytes: Uint8Array): number[] {
  const { byteTokens, merges } = vocabulary;
  const tokens = Array.from(bytes, (byte) => byteTokens[byte]!);
  tokens[tokens.length - 1]! += 256;

  // A linked list over positions: a merged pair stays at its left position.
  const previous = Int32Array.from(tokens, (_, position) => position - 1);
  const next = Int32Array.from(tokens, (_, position) => position + 1);
  const absent = -1;
  const queue = new PairQueue();

  function enqueue(left: number): void {
    const right = next[left]!;
    if (left < 0 || right >= tokens.length) return;
    const merged = merges.get(pairKey(tokens[left]!, tokens[right]!));
    if (merged !== undefined) queue.push(merged, left);
  }
  for (let position = 0; position < tokens.length - 1; position++) enqueue(position);

  for (let entry = queue.pop(); entry; entry = queue.pop()) {
    const { merged, left } = entry;
    const right = next[left]!;
    // An entry is stale when one of its two tokens has been merged away since.
    if (tokens[left] === absent || right >= tokens.length) continue;
    if (merges.get(pairKey(tokens[left]!, tokens[right]!)) !== merged) continue;
    tokens[left] = merged;
    tokens[right] = absent;
    next[left] = next[right]!;
    if (next[left]! < tokens.length) previous[next[left]!] = left;
    enqueue(previous[left]!);
    enqueue(left);
  }
  return tokens.filter((token) => token !== absent);
}

/** A binary heap; the earliest pair first, and of equal pairs the leftmost. */
class PairQueue {
  // Both parts of an entry in one number: tokens stay below 2^16, positions below 2^32.
  readonly #heap: number[] = [];

  push(merged: number, left: number): void {
    const heap = this.#heap;
    const key = merged * 2 ** 32 + left;
    let index = heap.push(key) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (heap[parent]! <= key) break;
      heap[index] = heap[parent]!;
      index = parent;
    }
    heap[index] = key;
  }

  pop(): { merged: number; left: number } | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (top === undefined || last === undefined) return undefined;
    if (heap.length > 0) {
      let index = 0;
      for (;;) {
        let child = 2 * index + 1;
        if (child + 1 < heap.length && heap[child + 1]! < heap[child]!) child++;
        if (child >= heap.length || heap[child]! >= last) break;
        heap[index] = heap[child]!;
        index = child;
      }
      heap[index] = last;
    }
    return { merged: Math.floor(top / 2 ** 32), left: top % 2 ** 32 };
  }
}
