/** Streams over the end of their server: `kill -9` and SIGTERM in the middle of a prediction. */
import { afterAll, describe, expect, test } from 'vitest';
import { type DatabaseKind, databaseKinds, makePlace } from '../support/databases.ts';
import { type EventReader, type ReadEvent, readEvents } from '../support/event-source.ts';
import { makeGate } from '../support/gate.ts';
import { testModels } from '../support/host-setup.ts';
import { type Program, startProgram } from '../support/program.ts';

const cleanups: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const clean of cleanups.reverse()) await clean();
});

describe.each(databaseKinds())('streams and the end of a server on %s', (kind: DatabaseKind) => {
  test('S53 D19 D51 readers come back and miss nothing', { timeout: 120_000 }, async () => {
    const place = await makePlace(kind);
    cleanups.push(place.remove);
    const environment = {
      DARKROOM_HOME: place.home,
      DATABASE_URL: place.databaseUrl ?? '',
      DARKROOM_MODELS: testModels,
      DARKROOM_LOG_LEVEL: 'error',
      DARKROOM_SHUTDOWN_GRACE: '60s',
      PORT: '0',
    };
    /** With the path of a file an output is made at once, and the others once that is there. */
    const gate = makeGate(place);
    let server: Program;
    const start = async (): Promise<void> => {
      const started = await startProgram('serve', environment);
      cleanups.push(started.kill);
      server = started;
    };
    await start();
    const answer = await fetch(`${server!.origin}/v1/models/test/echo/predictions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ input: { num_outputs: 3, until: gate.path } }),
    });
    const { urls } = (await answer.json()) as { urls: { stream: string } };
    const { pathname } = new URL(urls.stream);
    const open = (lastEvent?: ReadEvent): Promise<EventReader> =>
      readEvents(server.origin + pathname, lastEvent && { 'last-event-id': lastEvent.id });

    const first = await open();
    const seen = await first.next();
    expect(seen?.data).toMatch(/out-0\.txt$/);
    await server!.kill();
    await expect(first.rest()).rejects.toThrow();

    await start();
    const second = await open(seen);
    const seenAgain = await second.next();
    expect(seenAgain?.data).toMatch(/out-0\.txt$/);
    expect(seenAgain?.data).not.toBe(seen?.data);
    const code = server!.end();
    // The stream ends in good order and without `done`, while the prediction has the time to finish.
    const rest = await second.rest();
    gate.open();
    expect(rest).toEqual([]);
    expect(await code).toBe(0);

    await start();
    const events = [seenAgain!, ...(await (await open(seenAgain)).rest())];
    expect(events.map(({ event, data }) => [event, data.split('/').at(-1)])).toEqual([
      ['output', 'out-0.txt'],
      ['output', 'out-1.txt'],
      ['output', 'out-2.txt'],
      ['done', '{}'],
    ]);
    const replayed = await (await open()).rest();
    expect(replayed.map(({ id }) => id)).toEqual(events.map(({ id }) => id));
    for (const [index, { data }] of replayed.slice(0, 3).entries()) {
      expect(await (await fetch(data)).text()).toBe(`hello ${index}`);
    }
  });
});
