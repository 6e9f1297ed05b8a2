import { defineConfig } from 'vitest/config';
import { isPostgresAvailable } from './test/support/postgres.ts';

const shared = { testTimeout: 60_000, hookTimeout: 60_000 };
const projects = [
  { test: { ...shared, name: 'PGlite', include: ['src/**/*.test.ts', 'test/**/*.test.ts'] } },
  {
    test: {
      ...shared,
      name: 'PostgreSQL',
      include: ['test/conformance/*.test.ts'],
      // But those that start their servers on each database by themselves.
      exclude: ['test/conformance/streams.test.ts', 'test/conformance/uploads.test.ts'],
      env: { DARKROOM_TEST_DATABASE: 'PostgreSQL' },
    },
  },
];

export default defineConfig({
  test: {
    globalSetup: ['test/support/build.ts'],
    // Two cores and a real database or engine in many files: more workers only make each other late.
    maxWorkers: 2,
    // The clients meet the server on both databases.
    projects: isPostgresAvailable() ? projects : projects.slice(0, 1),
  },
});
