import { readFile } from 'node:fs/promises';
import { type Field, isRequired } from './fields.ts';
import { slug } from './list.ts';
import type { ModelDefinition } from './model.ts';

/** The same folder from `src/catalog` and from `dist/catalog`. */
const pages = new URL('../../docs/models/', import.meta.url);

/** The page of a model in Markdown: the one that was written for it, or what its definition says. */
export async function readmeOf(model: ModelDefinition): Promise<string> {
  return (await writtenPage(model)) ?? generatedPage(model);
}

async function writtenPage(model: ModelDefinition): Promise<string | undefined> {
  if (!/^[a-z0-9][a-z0-9._-]*$/i.test(model.name)) return undefined;
  const page = await readFile(new URL(`${model.name}.md`, pages), 'utf8').catch(() => undefined);
  // Models of other owners may have the same name.
  return page?.startsWith(`# ${slug(model)}\n`) ? withoutOwnLinks(page) : undefined;
}

/** Who reads the page through the API has none of the files beside it: the text of such a link stays. */
function withoutOwnLinks(page: string): string {
  return page.replace(/\[([^\]]+)\]\((?!https?:)[^)]+\)/g, '$1');
}

function generatedPage(model: ModelDefinition): string {
  const inputs = Object.entries(model.inputs).map(
    ([name, field]) => `| \`${name}\` | ${typeOf(field)} | ${inCell(field.description)} |`,
  );
  const weights = model.weights.map(
    ({ repository, licence, commercialUse }) =>
      `- ${repository} (${licence}; ${commercialUse ? 'commercial use is allowed' : 'not for commercial use'})`,
  );
  const output = model.output === 'file' ? 'One file.' : 'A list of files.';
  return [
    `# ${slug(model)}`,
    model.description,
    `Version \`${model.version}\`.`,
    '## Inputs',
    ['| Input | Type | What it does |', '| --- | --- | --- |', ...inputs].join('\n'),
    '## Output',
    output,
    ...(weights.length > 0 ? ['## Weights', weights.join('\n')] : []),
  ]
    .join('\n\n')
    .concat('\n');
}

function typeOf(field: Field): string {
  const parts: string[] = [field.kind === 'choice' ? `one of ${field.choices.map(code).join(', ')}` : field.kind];
  if ('minimum' in field && field.minimum !== undefined) parts.push(`from ${field.minimum}`);
  if ('maximum' in field && field.maximum !== undefined) parts.push(`to ${field.maximum}`);
  if (isRequired(field)) parts.push('required');
  if ('default' in field && field.default !== undefined) parts.push(`default ${code(field.default)}`);
  return inCell(parts.join(', '));
}

function code(value: unknown): string {
  return `\`${String(value)}\``;
}

function inCell(text: string): string {
  return text.replace(/\s+/g, ' ').replaceAll('|', '\\|');
}
