/** The OpenAPI documents of models: whole, valid, and saying what the published ones say. Numbers are those of docs/api.md. */
import { readdirSync, readFileSync } from 'node:fs';
import { Validator } from '@seriousme/openapi-schema-validator';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Document } from '../../src/server/document/server-document.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

interface Comparison {
  parseSeed(markdown: string): { slug: string; operations: SeedOperation[] };
  differences(seed: unknown, document: unknown): string[];
  compareAll(markdowns: string[], documents: object): { compared: string[]; faults: string[] };
}
interface SeedOperation {
  body: { properties: { input: { properties: object } } } | null;
  parameters: { name: string }[];
}

const tool = new URL('../../tools/compare-seeds.js', import.meta.url).href;
const { parseSeed, differences, compareAll } = (await import(tool)) as Comparison;

const seedFolder = new URL('../fixtures/seeds/', import.meta.url);
const seeds = readdirSync(seedFolder).filter((file) => file.endsWith('.md'));
const markdowns = seeds.map((file) => readFileSync(new URL(file, seedFolder), 'utf8'));

let server: TestServer;
const documents: Record<string, Document> = {};
beforeAll(async () => {
  server = await startTestServer({ concurrency: 0 });
  type Models = { results: { owner: string; name: string }[] };
  for (const { owner, name } of (await read<Models>('/models')).results) {
    documents[`${owner}/${name}`] = await read(`/models/${owner}/${name}/openapi.json`);
  }
});
afterAll(() => server?.close());

async function read<Body>(path: string): Promise<Body> {
  const answer = await fetch(`${server.origin}/v1${path}`);
  expect(answer.status).toBe(200);
  return (await answer.json()) as Body;
}

test('S89 each is a valid OpenAPI 3.1 document', async () => {
  expect(Object.keys(documents)).toContain('rossjillian/controlnet');
  for (const own of Object.values(documents)) {
    expect(await new Validator().validate(structuredClone(own) as object as Record<string, unknown>)).toEqual({
      valid: true,
    });
  }
  expect((await fetch(`${server.origin}/models/test/nothing/openapi.json`)).status).toBe(404);
});

test('S89 they say everything that the published documents say', () => {
  const { compared, faults } = compareAll(markdowns, documents);
  expect(faults).toEqual([]);
  expect(compared.toSorted()).toEqual(markdowns.map((text) => parseSeed(text).slug).toSorted());
});

test.each(seeds.map((file, index) => [file, markdowns[index]!]))('S89 %s is read whole', (_, markdown) => {
  const { operations } = parseSeed(markdown);
  expect(operations).toHaveLength(4);
  const create = operations.find(({ body }) => body)!;
  const rows = create.parameters.filter(({ name }) => name.startsWith('»» ')).map(({ name }) => name.slice(3));
  expect(rows).toEqual(Object.keys(create.body!.properties.input.properties));
  // Rows of tables are not confused by lines within texts.
  expect(markdown.match(/^\|»» [a-z_0-9]+\|body\|/gm)).toHaveLength(rows.length);
});

/** Each is one thing that a published document says. */
const changes: [string, (own: Document, post: Post) => void][] = [
  ['description', (own) => Object.assign(own.info, { description: 'Something else' })],
  ['version', (_, { properties }) => Object.assign(properties.version!, { description: 'Eg: 0. The ID' })],
  ['input steps', (_, { inputs }) => Object.assign(inputs.properties.steps!, { default: 21 })],
  ['input scale', (_, { inputs }) => Object.assign(inputs.properties.scale!, { minimum: 0.2 })],
  ['input prompt', (_, { inputs }) => Object.assign(inputs.properties.prompt!, { type: 'integer' })],
  ['input image', (_, { inputs }) => Object.assign(inputs.properties.image!, { format: 'text' })],
  ['choices of »» scheduler', (_, { inputs }) => (inputs.properties.scheduler!.enum as string[]).reverse()],
  ['required inputs', (_, { inputs }) => inputs.required.pop()],
  ['names of inputs', (_, { inputs }) => Object.assign(inputs.properties, { more: { type: 'string' } })],
  ['names of inputs', (_, { inputs }) => Reflect.deleteProperty(inputs.properties, 'eta')],
  ['row » webhook', (_, { properties }) => Object.assign(properties.webhook!, { type: 'boolean' })],
  ['row Authorization', (own) => Object.assign(own, { security: [{}] })],
  ['summary', (own) => Object.assign(own.paths['/predictions']!.get as object, { summary: 'List' })],
  ['row prediction_id', (own) => Object.assign(cancelOf(own).parameters[0]!, { description: 'An id' })],
  ['is missing', (own) => Reflect.deleteProperty(own.paths, '/predictions/{prediction_id}/cancel')],
];
test.each(changes)('S89 the comparison notices another %s', (place, change) => {
  const slug = 'rossjillian/controlnet';
  const seed = markdowns.map(parseSeed).find((candidate) => candidate.slug === slug)!;
  const own = structuredClone(documents[slug]!);
  const before = differences(seed, own);
  change(own, postOf(own));
  const found = differences(seed, own).filter((difference) => !before.includes(difference));
  expect(found.join('\n')).toContain(place);
});

interface Post {
  properties: Record<string, object>;
  inputs: { properties: Record<string, { enum?: unknown[] }>; required: string[] };
}

function postOf(own: Document): Post {
  type Create = { requestBody: { content: { 'application/json': { schema: { properties: Post['properties'] } } } } };
  const { properties } = (own.paths['/predictions']!.post as Create).requestBody.content['application/json'].schema;
  return { properties, inputs: properties.input as Post['inputs'] };
}

function cancelOf(own: Document): { parameters: object[] } {
  return own.paths['/predictions/{prediction_id}/cancel']!.post as { parameters: object[] };
}
