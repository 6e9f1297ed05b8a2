/** Deployments by the unmodified JavaScript client. Numbers are those of docs/api.md. */
import Replicate, { type Prediction } from 'replicate';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { endless } from '../support/gate.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { waitUntil } from '../support/wait-until.ts';

const version = 'e'.repeat(64);
let server: TestServer;
let replicate: Replicate;
let owner: string;
beforeAll(async () => {
  server = await startTestServer({ apiTokens: ['r8_ada', 'r8_eve'], concurrency: 3 });
  replicate = new Replicate({ auth: 'r8_ada', baseUrl: `${server.origin}/v1` });
  owner = (await replicate.accounts.current()).username;
});
afterAll(() => server?.close());

const configuration = { model: 'test/echo', version, hardware: 'cpu', min_instances: 0, max_instances: 2 };

async function statusOf(call: Promise<unknown>): Promise<number> {
  return call.then(
    () => 200,
    (error: { response: Response }) => error.response.status,
  );
}

test('S80 create, get, list, update and delete; every change is a release', async () => {
  const created = await replicate.deployments.create({ name: 'faces', ...configuration });
  expect(created).toMatchObject({
    owner,
    name: 'faces',
    current_release: {
      number: 1,
      model: 'test/echo',
      version,
      created_by: { type: 'user', username: owner },
      configuration: { hardware: 'cpu', min_instances: 0, max_instances: 2 },
    },
  });
  expect(await replicate.deployments.get(owner, 'faces')).toEqual(created);
  const { results } = await replicate.deployments.list();
  expect(results).toEqual([created]);

  const updated = await replicate.deployments.update(owner, 'faces', { max_instances: 3 });
  expect(updated.current_release).toMatchObject({ number: 2, configuration: { min_instances: 0, max_instances: 3 } });
  const same = await replicate.deployments.update(owner, 'faces', { max_instances: 3, hardware: 'cpu' });
  expect(same.current_release.number).toBe(2);

  expect(await replicate.deployments.delete(owner, 'faces')).toBe(true);
  expect(await statusOf(replicate.deployments.get(owner, 'faces'))).toBe(404);
  expect(await statusOf(replicate.deployments.delete(owner, 'faces'))).toBe(404);
});

test('S81 a prediction of a deployment says so, held or not', async () => {
  await replicate.deployments.create({ name: 'echo', ...configuration });
  const created = await replicate.deployments.predictions.create(owner, 'echo', { input: { text: 'x' } });
  expect(created).toMatchObject({ deployment: `${owner}/echo`, model: 'test/echo', version, status: 'starting' });
  const ended = (await replicate.wait(created, { interval: 50 })) as Prediction & { deployment: string };
  expect(ended).toMatchObject({ status: 'succeeded', deployment: `${owner}/echo` });
  expect(await replicate.predictions.get(created.id)).toEqual(ended);
  const held = await replicate.deployments.predictions.create(owner, 'echo', { input: {}, wait: true });
  expect(held.status).toBe('succeeded');
  const plain = await replicate.predictions.create({ version, input: {} });
  expect(plain).not.toHaveProperty('deployment');
  expect(await statusOf(replicate.deployments.predictions.create(owner, 'none', { input: {} }))).toBe(404);
  expect(await statusOf(replicate.deployments.get(owner, '%00'))).toBe(404);
  expect(await statusOf(replicate.deployments.predictions.create(owner, 'echo', { input: { steps: 'x' } }))).toBe(422);
});

test('S2 another account has deployments of its own, under its own name', async () => {
  const eve = new Replicate({ auth: 'r8_eve', baseUrl: server.origin });
  await replicate.deployments.create({ name: 'mine', ...configuration });
  expect((await eve.deployments.list()).results).toEqual([]);
  expect(await statusOf(eve.deployments.get(owner, 'mine'))).toBe(404);
  expect(await statusOf(eve.deployments.update(owner, 'mine', { max_instances: 1 }))).toBe(404);
  expect(await statusOf(eve.deployments.predictions.create(owner, 'mine', { input: {} }))).toBe(404);
  expect(await statusOf(eve.deployments.delete(owner, 'mine'))).toBe(404);
  const twin = await eve.deployments.create({ name: 'mine', ...configuration });
  expect(twin.owner).not.toBe(owner);
});

test('D80 max_instances is how many of its predictions run at the same time', async () => {
  await replicate.deployments.create({ name: 'narrow', ...configuration, max_instances: 1 });
  const input = { steps: endless, step_ms: 10 };
  const create = () => replicate.deployments.predictions.create(owner, 'narrow', { input });
  const [first, second] = [await create(), await create()];
  const state = async (id: string) => (await replicate.predictions.get(id)).status;
  await waitUntil('the first runs', async () => (await state(first.id)) === 'processing' || undefined);
  // Two engines are idle: a prediction without a deployment passes the one that waits.
  const plain = await replicate.predictions.create({ version, input: {}, wait: true });
  expect(plain.status).toBe('succeeded');
  expect(await state(second.id)).toBe('starting');
  await replicate.predictions.cancel(first.id);
  await waitUntil('the second runs', async () => (await state(second.id)) === 'processing' || undefined);

  expect(await statusOf(replicate.deployments.delete(owner, 'narrow'))).toBe(409);
  await replicate.predictions.cancel(second.id);
  await replicate.wait(second, { interval: 50 });
  expect(await replicate.deployments.delete(owner, 'narrow')).toBe(true);
});

test('D80 with max_instances 0 predictions wait until there are more', async () => {
  await replicate.deployments.create({ name: 'paused', ...configuration, max_instances: 0 });
  const waiting = await replicate.deployments.predictions.create(owner, 'paused', { input: {} });
  const plain = await replicate.predictions.create({ version, input: {}, wait: true });
  expect(plain.status).toBe('succeeded');
  expect((await replicate.predictions.get(waiting.id)).status).toBe('starting');
  await replicate.deployments.update(owner, 'paused', { max_instances: 1 });
  expect((await replicate.wait(waiting, { interval: 50 })).status).toBe('succeeded');
});

test('S80 D81 what a deployment cannot be is said, all at once', async () => {
  const bad = { name: 'No Name', model: 'test/echo', hardware: 'cpu', min_instances: -1, max_instances: 21, size: 1 };
  const create = replicate.deployments.create(bad as unknown as Parameters<typeof replicate.deployments.create>[0]);
  await expect(create).rejects.toThrow(
    /422.*version is required.*name: Does not match pattern.*min_instances: Must be greater.*max_instances: Must be less.*Additional property size/s,
  );
  const make = (changes: object) => replicate.deployments.create({ name: 'bad', ...configuration, ...changes });
  await expect(make({ hardware: 'gpu-h100' })).rejects.toThrow(/422.*hardware must be one of the following: \\"cpu\\"/);
  await expect(make({ version: 'f'.repeat(64) })).rejects.toThrow(/422.*Invalid version or not permitted/);
  await expect(make({ model: 'test/picture' })).rejects.toThrow(/422.*Invalid version or not permitted/);
  await expect(make({ min_instances: 3 })).rejects.toThrow(/422.*min_instances must not be larger/);
  await make({ name: 'twice' });
  await expect(make({ name: 'twice' })).rejects.toThrow(/409.*already/);
});

test('S82 hardware is a bare list of what there is', async () => {
  const hardware = await replicate.hardware.list();
  expect(hardware).toEqual([{ sku: 'cpu', name: expect.stringMatching(/^CPU \(\d+ cores?\)$/) }]);
});
