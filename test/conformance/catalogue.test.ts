/** Models, search, collections and trainings by the unmodified JavaScript client. Numbers are those of docs/api.md. */
import Replicate from 'replicate';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { exchange, requestHead } from '../support/http.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { waitUntil } from '../support/wait-until.ts';

const version = 'e'.repeat(64);
let server: TestServer;
let replicate: Replicate;
beforeAll(async () => {
  server = await startTestServer({ concurrency: 0 });
  replicate = new Replicate({ auth: '', baseUrl: `${server.origin}/v1` });
});
afterAll(() => server?.close());

const get = (path: string) => fetch(`${server.origin}/v1${path}`);
const read = async <Body>(path: string) => (await (await get(path)).json()) as Body;

interface Found {
  models: { model: { description: string }; metadata: { score: number } }[];
  invalid_fields: unknown;
}
const names = (models: { owner: string; name: string }[]) => models.map(({ owner, name }) => `${owner}/${name}`);

test('S83 models.search() finds by words, the best first', async () => {
  const { results, next } = await replicate.models.search('edges prompt controlnet');
  expect(names(results)[0]).toBe('rossjillian/controlnet');
  expect(next).toBeNull();
  expect((await replicate.models.search('zebra')).results).toEqual([]);
  const { results: all } = await replicate.models.list();
  expect(names((await replicate.models.search('"')).results).toSorted()).toEqual(names(all).toSorted());
});

test.each([
  ['raw text', 'text/plain', 'echo'],
  ['text in quotes', 'text/plain; charset=utf-8', '"echo"'],
  ['JSON', 'application/json', '"echo"'],
])('S83 QUERY /models takes %s', async (_, type, body) => {
  const head = requestHead('QUERY /models', { 'content-type': type, 'content-length': body.length });
  const answer = await exchange(server.port, head + body);
  expect(answer).toMatch(/^HTTP\/1.1 200 /);
  expect(JSON.parse(answer.slice(answer.indexOf('{'))).results[0]).toMatchObject({ owner: 'test', name: 'echo' });
});

test('S83 S84 a search is short: every word is looked for in every model', async () => {
  const words = 'zq '.repeat(334);
  const head = requestHead('QUERY /models', { 'content-type': 'text/plain', 'content-length': words.length });
  expect(await exchange(server.port, head + words)).toMatch(/^HTTP\/1.1 422 .*query: String length must be less/s);
  const response = await fetch(`${server.origin}/v1/search?query=${encodeURIComponent(words)}`);
  expect(response.status).toBe(422);
});

test('S83 D2 words are a body of QUERY alone', async () => {
  const answer = await fetch(`${server.origin}/predictions`, { method: 'POST', body: 'echo' });
  expect(answer.status).toBe(415);
});

test('S84 GET /search answers models with their score, and collections', async () => {
  const answer = await read<Found>('/search?query=structure');
  expect(answer).toMatchObject({ query: 'structure', pages: [], collections: [{ slug: 'structure' }] });
  const best = answer.models[0]!;
  expect(best.model).toMatchObject({ owner: 'rossjillian', name: 'controlnet' });
  expect(best.metadata).toMatchObject({ tags: ['structure'], generated_description: best.model.description });
  expect(best.metadata.score).toBeGreaterThan(0);
  expect((await read<Found>('/search?query=&limit=1')).models).toHaveLength(1);
  expect((await get('/search')).status).toBe(422);
  const bad = await read<Found>('/search?query=x&limit=51');
  expect(bad.invalid_fields).toEqual([
    { type: 'number_lte', field: 'limit', description: 'Must be less than or equal to 50' },
  ]);
});

test('S85 the page of a model: the written one, or what its definition says', async () => {
  const written = await get('/models/rossjillian/controlnet/readme');
  expect(written.headers.get('content-type')).toBe('text/plain; charset=utf-8');
  expect(await written.text()).toMatch(/^# rossjillian\/controlnet\n/);
  const generated = await (await get('/models/test/echo/readme')).text();
  expect(generated).toMatch(/^# test\/echo\n/);
  expect(generated).toContain('| `steps` | integer, from 0, default `2` | How many steps. |');
  expect((await get('/models/test/nothing/readme')).status).toBe(404);
});

test('A80 no model has examples', async () => {
  expect(await (await get('/models/test/echo/examples')).json()).toEqual({ next: null, previous: null, results: [] });
  expect((await get('/models/test/nothing/examples')).status).toBe(404);
});

test('A81 models are files: they are not created, changed or deleted here', async () => {
  const options = { visibility: 'private', hardware: 'cpu' } as const;
  await expect(replicate.models.create('local', 'mine', options)).rejects.toThrow(/422.*DARKROOM_MODELS/);
  const call = (method: string, path: string) => fetch(`${server.origin}${path}`, { method });
  for (const [method, path] of [
    ['PATCH', '/models/test/echo'],
    ['DELETE', '/models/test/echo'],
    ['DELETE', `/models/test/echo/versions/${version}`],
  ] as const) {
    const answer = await call(method, path);
    expect(answer.status).toBe(403);
    expect(((await answer.json()) as { detail: string }).detail).toMatch(/^test\/echo is a file on the server/);
    expect((await call(method, path.replace('echo', 'nothing'))).status).toBe(404);
  }
});

test('S86 run_count counts the predictions of a model', async () => {
  const { results } = await replicate.models.list();
  const before = results.find(({ name }) => name === 'single')!.run_count;
  await replicate.predictions.create({ model: 'test/single', input: {} });
  await waitUntil('it is counted', async () => {
    const { run_count } = await replicate.models.get('test', 'single');
    return run_count === before + 1 || undefined;
  });
});

test('S87 collections hold the models that are here', async () => {
  const { results } = await replicate.collections.list();
  expect(results.map(({ slug }) => slug)).toContain('structure');
  const collection = await replicate.collections.get('structure');
  expect(collection).toMatchObject({ slug: 'structure', name: 'Structure' });
  expect(names(collection.models!)).toEqual(['rossjillian/controlnet']);
  await expect(replicate.collections.get('nothing')).rejects.toThrow(/404/);
});

test('A82 there are no trainings, and none can be created', async () => {
  expect((await replicate.trainings.list()).results).toEqual([]);
  await expect(replicate.trainings.get('x')).rejects.toThrow(/404/);
  await expect(replicate.trainings.cancel('x')).rejects.toThrow(/404/);
  const create = (of: string) =>
    replicate.trainings.create('test', 'echo', of, { destination: 'local/mine', input: { images: 'x' } });
  await expect(create(version)).rejects.toThrow(/422.*Training is not available/);
  await expect(create('f'.repeat(64))).rejects.toThrow(/404/);
});
