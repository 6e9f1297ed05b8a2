/** Range requests (RFC 9110 §14) over a file of known size. */

export interface ByteRange {
  start: number;
  /** Inclusive. */
  end: number;
}

/**
 * One range of bytes. Several ranges and other units are answered with the whole file, which the RFC allows.
 *
 * @returns `undefined` for the whole file, `'unsatisfiable'` when the range lies behind its end
 */
export function parseRange(header: string | undefined, size: number): ByteRange | 'unsatisfiable' | undefined {
  const match = /^bytes *= *(\d*) *- *(\d*)$/i.exec(header ?? '');
  if (!match) return undefined;
  const [first, last] = [match[1]!, match[2]!];
  if (first === '' && last === '') return undefined;
  if (first === '') {
    const length = Math.min(Number(last), size);
    return length === 0 ? 'unsatisfiable' : { start: size - length, end: size - 1 };
  }
  const start = Number(first);
  if (last !== '' && Number(last) < start) return undefined;
  if (start >= size) return 'unsatisfiable';
  return { start, end: last === '' ? size - 1 : Math.min(Number(last), size - 1) };
}
