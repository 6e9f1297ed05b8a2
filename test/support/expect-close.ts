import { expect } from 'vitest';

type Numbers = ArrayLike<number>;

/** How far two arrays of numbers are apart, and what a reader needs to find out why. */
export function compare(actual: Numbers, expected: Numbers) {
  let difference = 0;
  let dot = 0;
  let actualSquare = 0;
  let expectedSquare = 0;
  let largest = { index: 0, difference: 0 };
  for (let index = 0; index < expected.length; index++) {
    const gap = Math.abs(actual[index]! - expected[index]!);
    const firstNaN = Number.isNaN(gap) && !Number.isNaN(largest.difference);
    if (gap > largest.difference || firstNaN) largest = { index, difference: gap };
    difference += gap ** 2;
    dot += actual[index]! * expected[index]!;
    actualSquare += actual[index]! ** 2;
    expectedSquare += expected[index]! ** 2;
  }
  return {
    /** Length of the difference relative to the length of what was expected. */
    relL2: difference === 0 ? 0 : Math.sqrt(difference / expectedSquare),
    cosine: dot / Math.sqrt(actualSquare * expectedSquare),
    largest,
  };
}

/** Asserts that the relative L2 error is within the tolerance, and shows both arrays where it is not. */
export function expectClose(actual: Numbers, expected: Numbers, tolerance: { relL2: number }): void {
  expect(actual.length, 'number of values').toBe(expected.length);
  const { relL2, cosine, largest } = compare(actual, expected);
  if (relL2 <= tolerance.relL2) return;
  const rows = [...new Set([0, 1, 2, 3, 4, 5, 6, 7, largest.index])]
    .filter((index) => index < expected.length)
    .map((index) => `  [${index}]  ${actual[index]}  ${expected[index]}`);
  expect.fail(
    `Relative L2 error ${relL2.toExponential(2)} is above ${tolerance.relL2}; cosine ${cosine.toFixed(6)}.\n` +
      `The largest difference, ${largest.difference}, is at ${largest.index} of ${expected.length}.\n` +
      `  index  actual  expected\n${rows.join('\n')}`,
  );
}
