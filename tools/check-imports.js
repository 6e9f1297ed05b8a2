/**
 * Enforces the import walls of ARCHITECTURE.md: which folder of `src` may import which, and which packages.
 * Tests may import anything. Run by `npm run imports`.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../src');

/** Folder -> folders and packages that it may import, beside itself and `node:`. `type:` allows types alone. */
const walls = {
  base: ['pino', 'sharp', '@techstark/opencv-js', 'h264-mp4-encoder'],
  math: ['base'],
  weights: ['base', 'math', 'type:catalog', 'onnx', 'networks', 'annotators', 'faces'],
  onnx: ['type:weights', 'base', 'math'],
  networks: ['onnx', 'weights', 'math', 'base'],
  runtime: ['type:onnx', 'onnx', 'math', 'base', 'onnxruntime-node'],
  schedulers: ['math', 'base', 'type:catalog'],
  text: ['math', 'base'],
  pipeline: ['networks', 'runtime', 'schedulers', 'text', 'weights', 'onnx', 'math', 'base', 'type:catalog'],
  parity: ['networks', 'annotators', 'runtime', 'schedulers', 'weights', 'onnx', 'math', 'base'],
  annotators: ['pipeline', 'networks', 'runtime', 'weights', 'onnx', 'math', 'base', 'type:catalog'],
  faces: ['networks', 'runtime', 'weights', 'onnx', 'math', 'base', 'type:catalog'],
  models: [
    'pipeline',
    'annotators',
    'faces',
    'networks',
    'runtime',
    'schedulers',
    'text',
    'weights',
    'math',
    'base',
    'catalog',
  ],
  catalog: ['base', 'ajv', 'type:*'],
  worker: ['catalog', 'runtime', 'weights', 'base'],
  database: ['base', '@electric-sql/pglite', 'kysely', 'pg', 'pg-boss'],
  storage: ['base', 'undici', 'ipaddr.js', 'tar-stream'],
  accounts: ['database', 'base', 'kysely'],
  uploads: ['type:accounts', 'database', 'storage', 'base', 'kysely'],
  webhooks: ['type:accounts', 'database', 'storage', 'base', 'kysely'],
  predictions: ['webhooks', 'database', 'storage', 'catalog', 'base', 'type:worker', 'worker', 'kysely', 'pg-boss'],
  server: [
    'accounts',
    'webhooks',
    'uploads',
    'predictions',
    'storage',
    'catalog',
    'weights',
    'base',
    'fastify',
    '@fastify/busboy',
    'ipaddr.js',
    'typebox',
  ],
  cli: [
    'server',
    'accounts',
    'webhooks',
    'uploads',
    'worker',
    'predictions',
    'storage',
    'database',
    'catalog',
    'parity',
    'weights',
    'base',
  ],
};

const faults = [];
for (const file of readdirSync(root, { recursive: true })) {
  if (!file.endsWith('.ts') || file.endsWith('.test.ts')) continue;
  const folder = file.split('/')[0];
  if (!(folder in walls)) {
    faults.push(`src/${file}: the folder ${folder} is not in tools/check-imports.js`);
    continue;
  }
  const path = join(root, file);
  const source = readFileSync(path, 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');
  const statements =
    /^(?:import|export)\s+(type\s)?(?:[^;'"]*?\sfrom\s+)?['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]\s*\)/gm;
  for (const [, isType, fixed, dynamic] of source.matchAll(statements)) {
    const target = fixed ?? dynamic;
    if (target.startsWith('node:')) continue;
    const name = target.startsWith('.')
      ? relative(root, resolve(dirname(path), target)).split('/')[0]
      : target
          .split('/')
          .slice(0, target.startsWith('@') ? 2 : 1)
          .join('/');
    const allowed = walls[folder];
    const ok =
      name === folder ||
      allowed.includes(name) ||
      (isType && (allowed.includes(`type:${name}`) || allowed.includes('type:*')));
    if (!ok) faults.push(`src/${file}: ${folder} may not import ${name}${isType ? ' (types)' : ''}`);
  }
}

if (faults.length > 0) {
  process.stderr.write(`${faults.join('\n')}\n${faults.length} imports cross a wall (see ARCHITECTURE.md).\n`);
  process.exit(1);
}
process.stdout.write('Import walls hold.\n');
