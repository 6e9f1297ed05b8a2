import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { databaseKinds } from '../../test/support/databases.ts';
import { endless } from '../../test/support/gate.ts';
import { type HostSetup, setUpHost } from '../../test/support/host-setup.ts';
import { waitUntil } from '../../test/support/wait-until.ts';
import { type Deployments, mostDeployments, type NewDeployment } from './deployments.ts';
import { newPredictionId } from './id.ts';
import { createRunCounts } from './run-counts.ts';

describe.each(databaseKinds())('deployments on %s, on two hosts', (kind) => {
  let setup: HostSetup;
  let deployments: Deployments;
  beforeAll(async () => {
    setup = await setUpHost(kind);
    deployments = setup.predictions.deployments;
    for (let index = 0; index < 2; index++) await setup.startHost({ concurrency: 2, maxAttempts: 2 });
  });
  afterAll(() => setup?.close());

  const deployment = (name: string, maxInstances: number, account = 'ada'): NewDeployment => ({
    id: `${account}/${name}`,
    account,
    name,
    model: 'test/echo',
    version: 'e'.repeat(64),
    hardware: 'cpu',
    minInstances: 0,
    maxInstances,
  });
  const create = (name: string, input: Record<string, unknown> = { steps: 0 }) =>
    setup.create('test/echo', input, { deployment: `ada/${name}` });
  const held = async () => {
    const rows = await setup.database.kysely.selectFrom('held_predictions').selectAll().execute();
    return rows.map(({ prediction_id }) => prediction_id).toSorted();
  };

  it('keeps one of a name, counts releases, and has no more than fit on a page', async () => {
    const made = await deployments.create(deployment('one', 1));
    expect(made).toMatchObject({ release: 1, maxInstances: 1 });
    expect(await deployments.create(deployment('one', 2))).toBeUndefined();
    expect(await deployments.get('eve', 'ada/one')).toBeUndefined();
    expect(await deployments.update('ada', 'ada/one', { maxInstances: 1 })).toEqual(made);
    const changed = await deployments.update('ada', 'ada/one', { maxInstances: 3, minInstances: 2 });
    expect(changed).toMatchObject({ release: 2, maxInstances: 3, minInstances: 2, version: 'e'.repeat(64) });
    expect(changed!.releasedAt.getTime()).toBeGreaterThanOrEqual(made!.releasedAt.getTime());
    await expect(deployments.update('ada', 'ada/one', { maxInstances: 1 })).rejects.toThrow(/must not be larger/);

    for (let index = 0; index < mostDeployments; index++) await deployments.create(deployment(`n${index}`, 1, 'many'));
    await expect(deployments.create(deployment('more', 1, 'many'))).rejects.toThrow(/at most 100 deployments/);
    const names = (await deployments.list('many')).map(({ name }) => name);
    expect(names).toHaveLength(mostDeployments);
    // Newest first, though two may be of one millisecond.
    expect(names.indexOf('n99')).toBeLessThan(names.indexOf('n50'));
  });

  it('never runs more than its instances, and all of them in the end', async () => {
    await deployments.create(deployment('two', 2));
    const ids: string[] = [];
    for (let index = 0; index < 12; index++) ids.push((await create('two', { steps: 2, step_ms: 20 })).id);
    const ended = await Promise.all(ids.map((id) => setup.end(id)));
    expect(ended.map(({ status }) => status)).toEqual(Array(12).fill('succeeded'));
    for (const { startedAt: moment } of ended) {
      const alive = ended.filter((other) => other.startedAt! <= moment! && other.completedAt! > moment!);
      expect(alive.length).toBeLessThanOrEqual(2);
    }
    expect(await held()).toEqual([]);
  });

  it('runs what was held in its order', async () => {
    await deployments.create(deployment('line', 1));
    const first = await create('line', { steps: endless, step_ms: 10 });
    await setup.until(first.id, 'it runs', ({ status }) => status === 'processing');
    const ids: string[] = [];
    for (let index = 0; index < 6; index++) ids.push((await create('line')).id);
    // By their ids; of two that were made in one millisecond either is the first.
    ids.sort();
    await waitUntil('all others are held', async () => (await held()).length === ids.length || undefined);
    await setup.predictions.cancel('ada', first.id);
    const ends = await Promise.all(ids.map((id) => setup.end(id)));
    for (const [index, { startedAt }] of ends.entries()) {
      const before = ends[index - 1]?.completedAt ?? first.createdAt;
      expect(startedAt!.getTime()).toBeGreaterThanOrEqual(before.getTime());
    }
  });

  it('lets one that was canceled while it was held go by', async () => {
    await deployments.create(deployment('narrow', 1));
    const first = await create('narrow', { steps: endless, step_ms: 10 });
    await setup.until(first.id, 'it runs', ({ status }) => status === 'processing');
    const [second, third] = [await create('narrow'), await create('narrow')];
    await waitUntil('two are held', async () => (await held()).length === 2 || undefined);
    expect(await deployments.delete('ada', 'ada/narrow')).toBe('busy');
    expect((await setup.predictions.cancel('ada', second.id))?.status).toBe('canceled');
    await setup.predictions.cancel('ada', first.id);
    expect((await setup.end(third.id)).status).toBe('succeeded');
    expect(await held()).toEqual([]);
    expect(await deployments.delete('ada', 'ada/narrow')).toBe('deleted');
    expect(await deployments.delete('ada', 'ada/narrow')).toBeUndefined();
  });

  it('hands the instance of a prediction on when its engine dies', async () => {
    await deployments.create(deployment('deadly', 1));
    const dying = await setup.create('test/troubled', { trouble: 'exit' }, { deployment: 'ada/deadly' });
    const next = await create('deadly');
    expect((await setup.end(dying.id)).status).toBe('failed');
    expect((await setup.end(next.id)).status).toBe('succeeded');
  });

  it('starts what waits when there are more instances, and holds what is too many', async () => {
    await deployments.create(deployment('paused', 0));
    const made = [
      await create('paused', { steps: endless, step_ms: 10 }),
      await create('paused', { steps: endless, step_ms: 10 }),
    ];
    const ids = made.toSorted((a, b) => (a.id < b.id ? -1 : 1));
    await waitUntil('both are held', async () => (await held()).length === 2 || undefined);
    await deployments.update('ada', 'ada/paused', { maxInstances: 1 });
    await setup.until(ids[0]!.id, 'the older runs', ({ status }) => status === 'processing');
    expect(await held()).toEqual([ids[1]!.id]);
    await deployments.update('ada', 'ada/paused', { maxInstances: 2 });
    await setup.until(ids[1]!.id, 'the other runs too', ({ status }) => status === 'processing');
    for (const { id } of ids) await setup.predictions.cancel('ada', id);
    for (const { id } of ids) await setup.end(id);
  });

  it('counts how often each model ran, and goes on counting', async () => {
    // Of an hour ago: those are counted once and for good.
    const { id: first } = await create('one', { steps: 0, num_outputs: 0 });
    const old = `${newPredictionId(Date.now() - 3_600_000).slice(0, 10)}${first.slice(10)}`;
    await setup.end(first);
    await setup.database.kysely.updateTable('predictions').set({ id: old }).where('id', '=', first).execute();
    const counts = createRunCounts(setup.database);
    // It takes longer than an answer is good for, and somebody asks again.
    const counting = counts();
    const later = vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 2_000);
    onTestFinished(() => later.mockRestore());
    await counts();
    later.mockRestore();
    const before = (await counting).get('test/echo') ?? 0;
    const rows = setup.database.kysely.selectFrom('predictions').select('id').where('model', '=', 'test/echo');
    expect(before).toBe((await rows.execute()).length);
    await create('one');
    // Long after, when the first answer is old.
    const clock = vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 60_000);
    onTestFinished(() => clock.mockRestore());
    expect((await counts()).get('test/echo')).toBe(before + 1);
    clock.mockRestore();
    expect((await createRunCounts(setup.database)()).get('test/echo')).toBe(before + 1);
  });
});
