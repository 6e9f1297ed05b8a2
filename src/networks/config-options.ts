/** What the readers of `config.json` share: an option that the networks here do not have is refused and never passed over. */
import { WeightError } from '../base/errors.ts';

export type Options = Record<string, unknown>;

/** How many indices from 0 on satisfy the condition. */
export function countOf(exists: (index: number) => boolean): number {
  let count = 0;
  while (exists(count)) count++;
  return count;
}

export function asOptions(json: unknown): Options {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new WeightError('A config.json does not hold an object.');
  }
  return json as Options;
}

export function refuseOthers(options: Options, supported: Options): void {
  for (const [key, value] of Object.entries(supported)) {
    const given = options[key];
    if (given !== undefined && given !== null && given !== value) throw unsupported(key, given);
  }
}

export function asCount(value: unknown, key: string): number {
  if (!Number.isSafeInteger(value) || (value as number) < 1) throw unsupported(key, value);
  return value as number;
}

export function asPositive(value: unknown, key: string): number {
  if (typeof value !== 'number' || !(value > 0 && value < Infinity)) throw unsupported(key, value);
  return value;
}

export function unsupported(key: string, value: unknown): WeightError {
  return new WeightError(
    `A config.json sets "${key}" to ${JSON.stringify(value)}, which this network cannot do. ` +
      'Use weights of the kind that the model names.',
  );
}
