import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { databaseKinds } from '../../test/support/databases.ts';
import { type HostSetup, setUpHost } from '../../test/support/host-setup.ts';
import { waitUntil } from '../../test/support/wait-until.ts';
import { advance } from './advance.ts';
import type { PredictionEvent } from './prediction.ts';
import { removeOldData } from './retention.ts';

describe.each(databaseKinds())('reading on %s', (kind) => {
  let setup: HostSetup;
  beforeAll(async () => {
    setup = await setUpHost(kind);
  });
  afterAll(() => setup?.close());

  const happens = (id: string, event: PredictionEvent) =>
    setup.database.kysely.transaction().execute((transaction) => advance(transaction, id, event, 'host'));

  it('sees every write that was made before it asked, among many that ask', async () => {
    const { id } = await setup.create('test/echo', {});
    await happens(id, { type: 'started' });
    const others = Array.from({ length: 50 }, () => setup.predictions.get('ada', id));
    for (let line = 1; line <= 20; line++) {
      await happens(id, { type: 'logged', attempt: 1, text: 'x' });
      const [first, second] = await Promise.all([setup.predictions.get('ada', id), setup.predictions.get('ada', id)]);
      expect([first?.logs.length, second?.logs.length]).toEqual([line, line]);
    }
    await Promise.all(others);
  });

  it('keeps accounts apart in one reading', async () => {
    const { id } = await setup.create('test/echo', {});
    const unknown = 'z'.repeat(26);
    const asked: [string, string][] = [
      ['ada', id],
      ['eve', id],
      ['ada', unknown],
    ];
    const read = () => Promise.all(asked.map(([account, one]) => setup.predictions.get(account, one)));
    expect((await read()).map((prediction) => prediction?.id)).toEqual([id, undefined, undefined]);
    await setup.predictions.cancel('ada', id);
    // Also when it is remembered.
    for (let time = 0; time < 2; time++) {
      expect((await read()).map((prediction) => prediction?.status)).toEqual(['canceled', undefined, undefined]);
    }
  });

  it('D92 does not go on showing data that were removed', async () => {
    // What is remembered does not grow old.
    const now = vi.spyOn(performance, 'now').mockReturnValue(performance.now());
    onTestFinished(() => now.mockRestore());
    const { id } = await setup.create('test/echo', { text: 'secret' });
    await setup.predictions.cancel('ada', id);
    expect((await setup.predictions.get('ada', id))?.input).toEqual({ text: 'secret' });
    await removeOldData(setup, 0);
    await waitUntil('the removal is seen', async () => (await setup.predictions.get('ada', id))?.dataRemoved);
  });

  it('fails for all who asked, and works again', async () => {
    const { id } = await setup.create('test/echo', {});
    const reads = [setup.predictions.get('ada', 'a\0'), setup.predictions.get('ada', id)];
    expect((await Promise.allSettled(reads)).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect((await setup.predictions.get('ada', id))?.id).toBe(id);
  });
});
