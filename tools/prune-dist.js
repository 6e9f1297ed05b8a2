/**
 * Removes from `dist` what no file of `src` compiles to any more, after a compilation. A model is registered by its file
 * being there, so one that was renamed would be there twice.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

for (const path of readdirSync('dist', { recursive: true, encoding: 'utf8' })) {
  const source = path.replace(/\.js(\.map)?$/, '.ts');
  if (source !== path && !existsSync(join('src', source))) rmSync(join('dist', path));
}
