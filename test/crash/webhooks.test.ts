import { test } from 'vitest';
import { type DatabaseKind, databaseKinds, makePlace, type TestPlace } from '../support/databases.ts';
import { testModels } from '../support/host-setup.ts';
import { type Program, startProgram } from '../support/program.ts';
import { type Received, startReceiver } from '../support/receiver.ts';
import { waitUntil } from '../support/wait-until.ts';

const predictions = 30;

// Both at once: most of the time, deliveries wait for the lease of a process that was killed.
test.concurrent.for(databaseKinds())(
  'on %s every end is delivered, also those that were written when the process was killed',
  { timeout: 300_000 },
  async (kind, { expect, onTestFinished }) => {
    const place = await makePlace(kind);
    onTestFinished(place.remove);
    /** While it is `false` nobody answers: whatever ends is written down and not delivered. */
    let answering = false;
    const receiver = await startReceiver((_received, response) => {
      if (answering) response.writeHead(200).end();
    });
    onTestFinished(receiver.close);

    const programs = await startAll(kind, place);
    onTestFinished(async () => {
      for (const program of programs) await program.kill();
    });
    const ids: string[] = [];
    const create = async (): Promise<void> => {
      const webhook = `${receiver.origin}/hook`;
      const input = { steps: 4, step_ms: 20 };
      ids.push((await call(programs[0]!, 'POST', '/predictions', { version: 'test/echo', input, webhook })).id);
    };
    for (let index = 0; index < predictions / 2; index++) await create();
    await waitUntil('some ends are under way', () => ends(receiver.received).size >= 3, 90_000);
    await killAll(programs);

    answering = true;
    const before = receiver.received.length;
    programs.splice(0, Infinity, ...(await startAll(kind, place)));
    // While ends from before and new ones are delivered, at any moment.
    for (let index = 0; index < predictions / 2; index++) await create();
    await waitUntil('some more arrived', () => receiver.received.length >= before + 3, 90_000);
    await killAll(programs);
    programs.splice(0, Infinity, ...(await startAll(kind, place)));

    const statuses = await waitUntil(
      'all are delivered',
      async () => {
        const all = await Promise.all(ids.map((id) => call(programs[0]!, 'GET', `/predictions/${id}/deliveries`)));
        return all.every(({ results }) => results.length === 1 && results[0]!.status === 'delivered') && all;
      },
      90_000,
    );
    const heard = ends(receiver.received);
    for (const [index, id] of ids.entries()) {
      const messages = heard.get(id)!;
      // At least once, and whenever more than once with the same id and the same bytes.
      expect([id, new Set(messages.map(({ headers }) => headers['webhook-id']))]).toEqual([
        id,
        new Set([statuses[index]!.results[0]!.id]),
      ]);
      expect(new Set(messages.map(({ body }) => body)).size).toBe(1);
    }
    for (const program of programs) expect(await program.end()).toBe(0);
    const again = [...heard.values()].filter((messages) => messages.length > 1).length;
    console.info(`${ids.length} ends on ${kind}, ${again} of them sent more than once`);
  },
);

interface Answer {
  id: string;
  results: { id: string; status: string }[];
}

/** A server that runs predictions itself; on PostgreSQL one that leaves that to a worker. */
async function startAll(kind: DatabaseKind, place: TestPlace): Promise<Program[]> {
  const environment = {
    DARKROOM_HOME: place.home,
    DATABASE_URL: place.databaseUrl ?? '',
    DARKROOM_MODELS: testModels,
    DARKROOM_MAX_ATTEMPTS: '100',
    DARKROOM_WEBHOOK_PRIVATE: '1',
    DARKROOM_LOG_LEVEL: 'error',
    PORT: '0',
  };
  if (kind === 'PGlite') return [await startProgram('serve', environment)];
  return [
    await startProgram('serve', { ...environment, DARKROOM_CONCURRENCY: '0' }),
    await startProgram('worker', environment),
  ];
}

async function killAll(programs: readonly Program[]): Promise<void> {
  await Promise.all(programs.map((program) => program.kill()));
}

async function call({ origin }: Program, method: string, path: string, body?: object): Promise<Answer> {
  const response = await fetch(`${origin}/v1${path}`, {
    method,
    ...(body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  return (await response.json()) as Answer;
}

/** What was heard of the end of each prediction. */
function ends(received: readonly Received[]): Map<string, Received[]> {
  const heard = new Map<string, Received[]>();
  for (const item of received) {
    const { id } = JSON.parse(item.body || '{}') as { id?: string };
    if (id) heard.set(id, [...(heard.get(id) ?? []), item]);
  }
  return heard;
}
