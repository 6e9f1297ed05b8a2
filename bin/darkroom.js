#!/usr/bin/env node
import { existsSync } from 'node:fs';

const main = new URL('../dist/cli/main.js', import.meta.url);
if (!existsSync(main)) {
  process.stderr.write('Darkroom is not built yet. Run `npm run build` (or `npm ci`, which does it) in its folder.\n');
  process.exit(1);
}
await import(main.href);
