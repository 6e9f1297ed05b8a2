/** The unmodified JavaScript client against the real server. Numbers are those of docs/api.md. */
import Replicate, { type Model, type Prediction } from 'replicate';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { WeightsJson } from '../../src/server/wire.ts';
import { endless, makeGate } from '../support/gate.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { waitUntil } from '../support/wait-until.ts';

const echo = `test/echo:${'e'.repeat(64)}` as const;
let server: TestServer;
let replicate: Replicate;
beforeAll(async () => {
  server = await startTestServer({ apiTokens: ['r8_client'], hfHome: '/nowhere' });
  replicate = new Replicate({ auth: 'r8_client', baseUrl: `${server.origin}/v1` });
});
afterAll(() => server?.close());

async function textAt(url: unknown): Promise<string> {
  const response = await fetch(url as string);
  expect(response.status).toBe(200);
  return response.text();
}

test('S9 D20 run() holds and returns the output, URLs as strings', async () => {
  const output = (await replicate.run(echo, { input: { text: 'picture', num_outputs: 2 } })) as string[];
  expect(await Promise.all(output.map(textAt))).toEqual(['picture 0', 'picture 1']);
});

test('D5 run() goes on polling when the hold was shorter than the prediction', async () => {
  const statuses: string[] = [];
  const gate = makeGate(server);
  const output = await replicate.run(
    echo,
    { input: gate.running, wait: { mode: 'block', timeout: 1 } },
    ({ status }: Prediction) => {
      statuses.push(status);
      if (status === 'processing') gate.open();
    },
  );
  expect(await textAt((output as string[])[0])).toBe('hello 0');
  expect(statuses[0]).toBe('starting');
  expect(statuses).toContain('processing');
  expect(statuses.at(-1)).toBe('succeeded');
});

test('S10 run() throws the reason of a failure', async () => {
  const run = replicate.run('test/troubled', { input: { trouble: 'throw' } });
  await expect(run).rejects.toThrow('Prediction failed: the model broke');
});

test('S19 run() of a prediction that is canceled meanwhile returns no output', async () => {
  let id: string | undefined;
  const run = replicate.run(
    echo,
    { input: { steps: endless, step_ms: 10 }, wait: { mode: 'poll', interval: 50 } },
    (prediction: Prediction) => {
      id = prediction.id;
    },
  );
  await replicate.predictions.cancel(await waitUntil('the prediction is created', () => id));
  expect(await run).toBeNull();
});

test('S4 S21 D10 run() in poll mode by model name, with progress', async () => {
  const seen: Prediction[] = [];
  const gate = makeGate(server);
  let begun: number | undefined;
  const output = await replicate.run(
    'test/echo',
    { input: gate.running, wait: { mode: 'poll', interval: 40 } },
    (prediction: Prediction) => {
      seen.push(structuredClone(prediction));
      // What the engine does begins some while after the status says so, and is what counts.
      if (!prediction.logs?.includes('| 1/')) return;
      begun ??= performance.now();
      if (performance.now() - begun > 500) gate.open();
    },
  );
  expect(await textAt((output as string[])[0])).toBe('hello 0');
  const running = seen.filter(({ status }) => status === 'processing');
  expect(running.length).toBeGreaterThan(1);
  expect(running.every(({ output }) => output === null)).toBe(true);
  expect(seen.at(-1)?.metrics?.predict_time).toBeGreaterThanOrEqual(0.5);
});

test('S21 a list of files that stayed empty is an empty list', async () => {
  expect(await replicate.run('test/echo', { input: { num_outputs: 0 } })).toEqual([]);
});

test('S19 an AbortSignal cancels', async () => {
  const controller = new AbortController();
  let id = '';
  const run = replicate.run(
    echo,
    { input: { steps: endless, step_ms: 10 }, wait: { mode: 'poll', interval: 50 }, signal: controller.signal },
    (prediction: Prediction) => {
      id = prediction.id;
      if (prediction.status === 'processing') controller.abort();
    },
  );
  // Once aborted, the client's own cancel request is aborted too, or it comes through: it depends on its version.
  await run.catch((error: Error) => expect(error.name).toBe('AbortError'));
  await replicate.predictions.cancel(id);
  const end = await replicate.wait(await replicate.predictions.get(id), { interval: 50 });
  expect(end.status).toBe('canceled');
});

test('S18 S22 create, get and wait; progress as the clients parse it', async () => {
  const created = await replicate.predictions.create({ version: 'e'.repeat(64), input: { steps: 4, step_ms: 20 } });
  expect(created.status).toBe('starting');
  const ended = await replicate.wait(created, { interval: 50 });
  expect(ended.status).toBe('succeeded');
  expect(await replicate.predictions.get(created.id)).toEqual(ended);
  expect(ended.logs).toMatch(/^ *100%\|.*\| *4\/4 /m);
});

test('S9 predictions.create({ wait }) holds', async () => {
  const prediction = await replicate.predictions.create({ model: 'test/echo', input: {}, wait: 58.2 });
  expect(prediction.status).toBe('succeeded');
});

test('S20 paginate() walks over three pages and meets every prediction once', async () => {
  const pager = new Replicate({ auth: 'r8_client', baseUrl: `${server.origin}/v1` });
  const made = new Set<string>();
  for (let batch = 0; batch < 21; batch++) {
    const create = () => replicate.predictions.create({ model: 'test/echo', input: { steps: 0, num_outputs: 0 } });
    for (const { id } of await Promise.all(Array.from({ length: 10 }, create))) made.add(id);
  }
  const pages: Prediction[][] = [];
  for await (const page of pager.paginate(pager.predictions.list)) {
    pages.push(page);
    // Arriving in the middle of the walk, it must not shift what follows.
    if (pages.length === 1)
      await replicate.predictions.create({ model: 'test/echo', input: { steps: 0, num_outputs: 0 } });
  }
  const met = pages.flat().map(({ id }) => id);
  expect(new Set(met).size).toBe(met.length);
  expect(met).toEqual(expect.arrayContaining([...made]));
  expect(pages.length).toBeGreaterThanOrEqual(3);
  expect(pages.slice(0, -1).every(({ length }) => length === 100)).toBe(true);
  // And back again: the page before the second one is the first as it was.
  const first = await replicate.predictions.list();
  type Page = { results: Prediction[]; previous: string };
  const second = (await (await replicate.request(first.next!, { method: 'GET' })).json()) as Page;
  const back = (await (await replicate.request(second.previous, { method: 'GET' })).json()) as Page;
  expect(back.results.map(({ id }: Prediction) => id)).toEqual(first.results.map(({ id }) => id));
  expect(first.next).toMatch(new RegExp(`^${server.origin}/v1/predictions\\?`));
  const times = pages.flat().map(({ created_at }) => created_at);
  expect(times).toEqual(times.toSorted().reverse());
});

test('S26 D18 models.list and models.get', async () => {
  const { results, next, previous } = await replicate.models.list();
  expect([next, previous]).toEqual([null, null]);
  expect(results.map(({ owner, name }) => `${owner}/${name}`)).toContain('test/echo');
  const { weights, ...model } = (await replicate.models.get('test', 'echo')) as Model & { weights: unknown };
  expect(weights).toEqual([]);
  const listed = results.find(({ name }) => name === 'echo')!;
  expect(model).toEqual({ ...listed, run_count: model.run_count });
  expect(model).toMatchObject({ visibility: 'public', default_example: null, latest_version: { id: 'e'.repeat(64) } });
  await expect(replicate.models.get('test', 'nothing')).rejects.toThrow(/404.*could not be found/);
});

test('D21 a model says which of its weights are on this disk, and how to get the others', async () => {
  const { weights } = (await replicate.models.get('rossjillian', 'controlnet')) as Model & { weights: WeightsJson[] };
  const canny = weights.find(({ repository }) => repository === 'lllyasviel/sd-controlnet-canny')!;
  expect(canny).toMatchObject({ license: 'OpenRAIL', commercial_use: true, present: false });
  const file = canny.files.find(({ path }) => path === 'diffusion_pytorch_model.safetensors');
  expect(file).toMatchObject({ present: false });
  expect(canny.get).toMatch(
    /^hf download lllyasviel\/sd-controlnet-canny config\.json diffusion_pytorch_model\.safetensors/,
  );
});

test('S27 models.versions.list and .get', async () => {
  const versions = (await replicate.models.versions.list('test', 'echo')) as unknown as { results: { id: string }[] };
  expect(versions.results).toHaveLength(1);
  const version = await replicate.models.versions.get('test', 'echo', 'e'.repeat(64));
  expect(version).toEqual(versions.results[0]);
  expect(version.cog_version).toMatch(/^\d+\.\d+\.\d+$/);
  await expect(replicate.models.versions.get('test', 'echo', 'f'.repeat(64))).rejects.toThrow(/404/);
});

test('S3 S28 the built-in model under its published version id', async () => {
  const id = '795433b19458d0f4fa172a7ccf93178d2adb1cb8ab2ad6c8fdc33fdbcd49f477';
  const version = await replicate.models.versions.get('rossjillian', 'controlnet', id);
  const { Input } = (version.openapi_schema as { components: { schemas: Record<string, Record<string, unknown>> } })
    .components.schemas;
  expect(Input!.required).toEqual(['image', 'prompt', 'structure']);
});

test('S15 the data-uri strategy sends the client itself, token included: nothing of it is kept', async () => {
  const careless = new Replicate({ auth: 'r8_client', baseUrl: server.origin, fileEncodingStrategy: 'data-uri' });
  const prediction = await careless.predictions.create({ model: 'test/echo', input: { text: 'x' }, wait: true });
  expect(prediction.status).toMatch(/succeeded|failed/);
  expect(JSON.stringify(await replicate.predictions.get(prediction.id))).not.toContain('r8_client');
  expect(server.log()).not.toContain('r8_client');
});

test('S11 the text of an error tells what was wrong', async () => {
  const create = replicate.predictions.create({ model: 'test/echo', input: { steps: 'many', num_outputs: -1 } });
  await expect(create).rejects.toThrow(/422.*Expected: integer, given: string.*Must be greater than or equal to 0/s);
});

test('S1 a wrong token is refused', async () => {
  const stranger = new Replicate({ auth: 'r8_wrong', baseUrl: server.origin });
  await expect(stranger.predictions.list()).rejects.toThrow(/401.*You did not pass a valid authentication token/);
});

test('D1 the client works with every spelling of the base URL', async () => {
  for (const path of ['', '/', '/v1', '/v1/', '/v1/v1']) {
    const client = new Replicate({ auth: 'r8_client', baseUrl: `${server.origin}${path}` });
    expect((await client.models.get('test', 'echo')).name).toBe('echo');
  }
});
