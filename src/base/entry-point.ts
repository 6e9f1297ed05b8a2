/**
 * Where the file of another process or thread lies.
 *
 * Compiled, it lies in the same tree as this file. When a test runs the sources, the child still needs plain
 * JavaScript (Node 20 cannot run TypeScript), so it is taken from `dist`, which the test run builds first.
 *
 * @param name path below `src`, without ending: `worker/main`
 */
export function entryPoint(name: string): URL {
  const fromSources = import.meta.url.endsWith('.ts');
  return new URL(fromSources ? `../../dist/${name}.js` : `../${name}.js`, import.meta.url);
}
