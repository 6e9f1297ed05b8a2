import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { relativeError, runNetworkCase } from '../../test/support/network-case.ts';

const folder = fileURLToPath(new URL('../../test/fixtures/networks/', import.meta.url));

describe('agrees with the reference on the same weights', async () => {
  test.each(await readdir(folder))('%s', async (name) => {
    const { actual, expected, limit } = await runNetworkCase(join(folder, name, 'case.json'));
    expect(Object.keys(actual)).toEqual(Object.keys(expected));
    for (const [output, tensor] of Object.entries(expected)) {
      const error = relativeError(actual[output]!, tensor);
      console.log(name, output, error.toExponential(2));
      expect(error).toBeLessThan(limit);
    }
  });
});
