import { describe, expect, it } from 'vitest';
import { newPredictionId } from './id.ts';

describe('prediction id', () => {
  it('has 26 characters, begins with the time and is not repeated', () => {
    // The ULID specification's example of a time: 1469918176385 is 01ARYZ6S41.
    expect(newPredictionId(1_469_918_176_385)).toMatch(/^01aryz6s41[0-9a-hjkmnp-tv-z]{16}$/);
    expect(newPredictionId(1) < newPredictionId(2)).toBe(true);
    expect(new Set(Array.from({ length: 1000 }, () => newPredictionId(0))).size).toBe(1000);
  });
});
