/**
 * Whole numbers of up to 64 bits, as seeds are. JavaScript's numbers are exact up to 2^53 only; beyond, such a number is
 * the text of its digits, in `predict` as in JSON.
 *
 * @returns the number, exact; `undefined` when the value is no whole number
 */
export function wideInteger(value: unknown): number | string | undefined {
  const whole =
    typeof value === 'bigint' ||
    (typeof value === 'number' && Number.isInteger(value)) ||
    (typeof value === 'string' && /^-?\d{1,40}$/.test(value));
  if (!whole) return undefined;
  const exact = BigInt(value);
  return Number.isSafeInteger(Number(exact)) ? Number(exact) : String(exact);
}
