import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { runSchedulerCase } from './scheduler-case.ts';

const fixtures = fileURLToPath(new URL('../../test/fixtures/schedulers/', import.meta.url));
const cases = readdirSync(fixtures).filter((name) => name.includes('-steps-'));

test.each(cases)('%s', async (name) => {
  for (const { output, relL2 } of await runSchedulerCase(`${fixtures}${name}`)) {
    expect(relL2, output).toBeLessThan(1e-5);
  }
});
