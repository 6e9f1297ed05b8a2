import { relative } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { isPostgresAvailable } from './test/support/postgres.ts';

/**
 * Where the files lie that take longest, these first. Where vitest has not run before, it goes by their lengths, and one
 * that takes minutes may begin when all others have ended.
 */
const slowest = ['test/crash/', 'test/webgpu/', 'test/e2e/', 'src/models/', 'src/predictions/', 'test/conformance/'];

class SlowestFirst extends BaseSequencer {
  override async sort(specifications: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const path = relative(import.meta.dirname, moduleId);
      const found = slowest.findIndex((folder) => path.startsWith(folder));
      return found < 0 ? slowest.length : found;
    };
    return (await super.sort(specifications)).toSorted((a, b) => rank(a) - rank(b));
  }
}

/** Tests that have servers, databases, engines or whole models, or replace modules: each file has a process of its own. */
const large = ['src/{accounts,cli,database,models,predictions,storage,webhooks}/**/*.test.ts', 'test/**/*.test.ts'];

const shared = { testTimeout: 60_000, hookTimeout: 60_000 };
const projects = [
  { test: { ...shared, name: 'PGlite', include: large } },
  {
    test: {
      ...shared,
      name: 'PostgreSQL',
      include: ['test/conformance/*.test.ts'],
      env: { DARKROOM_TEST_DATABASE: 'PostgreSQL' },
    },
  },
  // One after the other in one process, in half the time: to start it and to load the packages takes as long as the tests.
  { test: { ...shared, name: 'units', include: ['src/**/*.test.ts'], exclude: large, isolate: false } },
];

export default defineConfig({
  test: {
    globalSetup: ['test/support/test-run.ts'],
    // Two cores and a real database or engine in many files: more workers only make each other late.
    maxWorkers: 2,
    sequence: { sequencer: SlowestFirst },
    // The clients meet the server on both databases.
    projects: isPostgresAvailable() ? projects : projects.filter(({ test }) => test.name !== 'PostgreSQL'),
  },
});
