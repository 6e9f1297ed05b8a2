/**
 * Checks what rots in pages: links and their anchors, files that are named, the tables of settings. Run by `npm run docs`.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const settingsPage = 'docs/operating.md';
const read = (path) => readFileSync(join(root, path), 'utf8');

const files = [];
const folders = [''];
for (const folder of folders) {
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    if (/^(\..*|node_modules|dist|coverage)$/.test(entry.name)) continue;
    (entry.isDirectory() ? folders : files).push(posix.join(folder, entry.name));
  }
}
const known = new Set([...files, ...folders]);
const pages = files.filter((path) => path.endsWith('.md'));
const sources = files.filter((path) => /^(src|test|tools|bench|examples)\/.*\.(ts|js|py|sql)$/.test(path));

const faults = [];
for (const page of pages) {
  const text = read(page);
  const prose = text.replace(/^```[\s\S]*?^```/gm, '');
  for (const [, link] of prose.matchAll(/\]\(([^)\s]+)\)/g)) checkLink(page, link);
  for (const [, code] of text.matchAll(/`([^`\n]+)`/g)) checkNames(page, code);
}
for (const source of sources) {
  for (const [page] of read(source).matchAll(/\bdocs\/(?:decisions\/|models\/)?[\w-]+\.md/g)) {
    if (!known.has(page)) faults.push(`${source}: there is no ${page}`);
  }
}
checkSettings();

function checkLink(page, link) {
  if (/^[a-z]+:/.test(link)) return;
  const [path, anchor] = link.split('#');
  const target = path === '' ? page : posix.join(posix.dirname(page), path);
  if (!known.has(target.replace(/\/$/, ''))) faults.push(`${page}: ${link} leads nowhere`);
  else if (anchor && !anchorsOf(target).includes(anchor)) faults.push(`${page}: ${link} has no such heading`);
}

/** As GitHub makes them of headings. */
function anchorsOf(page) {
  const slug = (title) => title.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, '');
  return Array.from(read(page).matchAll(/^#+ (.+)$/gm), ([, title]) => slug(title).replaceAll(' ', '-'));
}

/** Paths from the root, and sources by the end of their path: `src/cli/main.ts`, `networks/unet.ts`, `faults.test.ts`. */
function checkNames(page, code) {
  for (const [match] of code.matchAll(/(?<![\w./*-])[\w-][\w./-]*(?![\w./*<{…-])/g)) {
    const name = match.replace(/[/.]$/, '');
    if (name.includes('/.')) continue;
    const isFromRoot = /^(src|test|tools|docs|bench|examples)\//.test(name);
    const isSource = name.endsWith('.ts');
    const isThere = known.has(name) || (isSource && files.some((path) => path.endsWith(`/${name}`)));
    if ((isFromRoot || isSource) && !isThere) faults.push(`${page}: there is no ${name}`);
  }
}

/** Every environment variable that is read stands in a table, and no other. */
function checkSettings() {
  const isRead = new Set(read('src/base/settings.ts').match(/\b(?:DARKROOM|DATABASE|HF)_[A-Z_]+|\b(?:PORT|HOST)\b/g));
  const rows = read(settingsPage).match(/^\| `[A-Z_`, ]+` \|/gm) ?? [];
  const listed = new Set(rows.flatMap((row) => row.match(/[A-Z_]+/g)));
  for (const name of isRead) if (!listed.has(name)) faults.push(`${settingsPage}: lacks the setting ${name}`);
  for (const name of listed) if (!isRead.has(name)) faults.push(`${settingsPage}: ${name} is no setting`);
}

if (faults.length > 0) {
  process.stderr.write(`${faults.join('\n')}\n`);
  process.exit(1);
}
process.stdout.write(`All ${pages.length} pages point to what is there.\n`);
