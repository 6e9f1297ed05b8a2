import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { expectClose } from '../../test/support/expect-close.ts';
import { runNetworkCase } from '../../test/support/network-case.ts';

const folder = fileURLToPath(new URL('../../test/fixtures/networks/', import.meta.url));

describe('agrees with the reference on the same weights', async () => {
  test.each(await readdir(folder))('%s', async (name) => {
    const { actual, expected, tolerance } = await runNetworkCase(join(folder, name, 'case.json'));
    expect(Object.keys(actual)).toEqual(Object.keys(expected));
    for (const [output, tensor] of Object.entries(expected)) {
      expect(actual[output]!.dims).toEqual(tensor.dims);
      expectClose(actual[output]!.data as Float32Array, tensor.data as Float32Array, tolerance);
    }
  });
});
