import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import animateDiff from '../models/animate-diff.ts';
import controlnet from '../models/controlnet.ts';
import { choice, integer, text } from './fields.ts';
import { type JsonSchema, openApiSchema } from './openapi.ts';

const seeds = new URL('../../test/fixtures/seeds/', import.meta.url);

/** Input schema with references resolved, as the published pages show it. */
function dereferenced(
  model: Parameters<typeof openApiSchema>[0],
): JsonSchema & { properties: Record<string, JsonSchema> } {
  const { schemas } = openApiSchema(model).components;
  const input = schemas.Input as JsonSchema & { properties: Record<string, JsonSchema> };
  const properties = Object.entries(input.properties).map(([name, { allOf, ...own }]) => {
    if (!allOf) return [name, own];
    const [{ $ref }] = allOf as [{ $ref: string }];
    const { type, enum: values } = schemas[$ref.replace('#/components/schemas/', '')]!;
    return [name, { type, enum: values, ...own }];
  });
  return { ...input, properties: Object.fromEntries(properties) };
}

test.each([
  ['rossjillian_controlnet', controlnet],
  ['lucataco_animate-diff', animateDiff],
])('%s equals its published document in meaning', async (name, model) => {
  const page = await readFile(new URL(`${name}.md`, seeds), 'utf8');
  const body = JSON.parse(/^> Body parameter\n\n```json\n([\s\S]*?)\n```$/m.exec(page)![1]!);
  const published = body.properties.input;
  const ours = dereferenced(model);

  expect(ours.type).toBe(published.type);
  expect((ours.required as string[]).toSorted()).toEqual((published.required ?? []).toSorted());
  const meanings = Object.entries(ours.properties).map(([key, { title, 'x-order': _order, ...meaning }]) => [
    key,
    meaning,
  ]);
  expect(Object.fromEntries(meanings)).toEqual(published.properties);
  expect(Object.keys(ours.properties)).toEqual(Object.keys(published.properties));
  expect(body.properties.version.description).toContain(model.version);
});

test('x-order is the order of the model file, without gaps', () => {
  const { properties } = dereferenced(controlnet);
  const ordered = Object.entries(properties).sort(
    ([, a], [, b]) => (a['x-order'] as number) - (b['x-order'] as number),
  );
  expect(ordered.map(([name]) => name)).toEqual(Object.keys(controlnet.inputs));
  expect(ordered.map(([, property]) => property['x-order'])).toEqual([...ordered.keys()]);
});

test('a choice is a schema of its own, every other property has a title', () => {
  const { schemas } = openApiSchema({
    inputs: {
      size: choice([256, 512], { description: 'Size', default: 512 }),
      num_outputs: integer({ description: 'How many', minimum: 1 }),
      prompt: text({ description: 'What', default: '' }),
    },
    output: 'file',
  }).components;
  expect(schemas.size).toEqual({ type: 'integer', enum: [256, 512], title: 'size', description: 'An enumeration.' });
  expect(schemas.Input).toEqual({
    type: 'object',
    title: 'Input',
    required: ['num_outputs'],
    properties: {
      num_outputs: { type: 'integer', title: 'Num Outputs', description: 'How many', minimum: 1, 'x-order': 1 },
      prompt: { type: 'string', title: 'Prompt', description: 'What', default: '', 'x-order': 2 },
      size: { allOf: [{ $ref: '#/components/schemas/size' }], description: 'Size', default: 512, 'x-order': 0 },
    },
  });
  expect(schemas.Output).toEqual({ type: 'string', format: 'uri', title: 'Output' });
});

test('every reference resolves', () => {
  const document = openApiSchema(controlnet);
  const references = [...JSON.stringify(document).matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name);
  expect(references).toContain('structure');
  for (const name of references) expect(document.components.schemas).toHaveProperty(name!);
});
