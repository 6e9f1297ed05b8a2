import { readdirSync, readFileSync } from 'node:fs';
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
    const rank = ({ project, moduleId }: TestSpecification): number => {
      const path = moduleId.slice(project.config.root.length + 1);
      const folder = slowest.findIndex((start) => path.startsWith(start));
      // A process goes on with the next file only while that is of the same project.
      return names.indexOf(project.name) * 100 + (folder < 0 ? slowest.length : folder);
    };
    return (await super.sort(specifications)).toSorted((a, b) => rank(a) - rank(b));
  }
}

/**
 * Tests that replace modules, for which nobody may have loaded these before, and those on a driver for Vulkan: each has a
 * process of its own. All others share the processes of their project: to start one and to load the server takes longer
 * than most tests.
 */
const alone = [...testsIn('src'), ...testsIn('test')].filter(
  (path) => path.startsWith('test/webgpu/') || readFileSync(path, 'utf8').includes('vi.mock('),
);

/** Tests that have servers, databases, engines or whole models. */
const large = ['src/{accounts,cli,database,models,predictions,storage,webhooks}/**/*.test.ts', 'test/**/*.test.ts'];

const shared = { testTimeout: 60_000, hookTimeout: 60_000, isolate: false };
const projects = [
  { test: { ...shared, name: 'alone', include: alone, isolate: true } },
  { test: { ...shared, name: 'PGlite', include: large, exclude: alone } },
  {
    test: {
      ...shared,
      name: 'PostgreSQL',
      include: ['test/conformance/*.test.ts'],
      exclude: alone,
      env: { DARKROOM_TEST_DATABASE: 'PostgreSQL' },
    },
  },
  { test: { ...shared, name: 'units', include: ['src/**/*.test.ts'], exclude: [...large, ...alone] } },
];
const names = projects.map(({ test }) => test.name);

function testsIn(folder: string): string[] {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((path) => `${folder}/${path}`);
  return paths.filter((path) => path.endsWith('.test.ts'));
}

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
