import { createHash, randomInt } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createLog } from '../../src/base/log.ts';
import { openDatabase } from '../../src/database/connect.ts';
import { parseFileRef } from '../../src/storage/file-ref.ts';
import { type DatabaseKind, databaseKinds, makePlace, type TestPlace } from '../support/databases.ts';
import { testModels } from '../support/host-setup.ts';
import { childrenOf, isRunning, type Program, startProgram } from '../support/program.ts';
import { waitUntil } from '../support/wait-until.ts';
import { installAudit, readAudit } from './audit.ts';
import { ahead, startLoad } from './load.ts';
import { everyWork, type Work } from './work.ts';

/** Kills on each database, at moments that differ from run to run. `DARKROOM_CRASH_KILLS` asks for a longer run. */
const kills = Number(process.env.DARKROOM_CRASH_KILLS ?? 6);
const terminal = ['succeeded', 'failed', 'canceled'];

describe.each(databaseKinds())('kill -9 on %s', (kind) => {
  it(`loses nothing and doubles nothing over ${kills} kills`, { timeout: 120_000 + kills * 30_000 }, async () => {
    const seed = Number(process.env.DARKROOM_CRASH_SEED ?? randomInt(2 ** 31));
    console.info(`kill -9 on ${kind}: DARKROOM_CRASH_SEED=${seed}`);
    const random = randomFrom(seed);
    const place = await makePlace(kind);
    onTestFinished(place.remove);
    await prepare(place);

    const works = await everyWork();
    const programs = await startAll(kind, environmentOf(place));
    const load = startLoad(() => programs.get('serve')!.program.origin, works, random);
    onTestFinished(async () => {
      for (const { program } of programs.values()) await program.kill();
      await load.stop();
    });
    const engines = new Set<number>();
    const targets = shuffled([...programs.keys(), 'engine'], kills, random);
    // More of them when none of those has met a prediction that runs.
    const killed: string[] = [];
    while (killed.length < kills || load.seenAgain() === 0) {
      // Most often while a prediction runs, now and then while processes start and nothing does.
      const before = load.seenRunning();
      if (random() < 0.8) await waitUntil('a prediction runs', () => load.seenRunning() > before);
      await pause(random() * 900);
      for (const engine of enginesOf(programs)) engines.add(engine);
      const target = targets[killed.length % kills]!;
      if (target === 'engine') {
        const alive = await waitUntil(
          'an engine is there',
          () => enginesOf(programs).length > 0 && enginesOf(programs),
        );
        if (!killNow(alive[Math.floor(random() * alive.length)]!)) continue;
      } else {
        const { program, start } = programs.get(target)!;
        await program.kill();
        programs.set(target, { program: await start(), start });
      }
      killed.push(target);
    }
    console.info(`killed ${killed.join(', ')}`);

    const accepted = await load.stop();
    expect(accepted.length).toBeGreaterThanOrEqual(kills);
    const { origin } = programs.get('serve')!.program;
    const served = new Map<string, string[]>();
    for (const id of accepted) {
      const prediction = await waitUntil(`${id} ends`, async () => {
        const answer = (await (await fetch(`${origin}/v1/predictions/${id}`)).json()) as Answer;
        return terminal.includes(answer.status) ? answer : undefined;
      });
      served.set(id, prediction.output ?? []);
    }
    // Also those whose acceptance nobody heard of: the server was killed before it answered.
    await waitUntil('nothing waits or runs', () => hasEndedAll(origin));
    for (const url of [...served.values()].flat()) expect((await fetch(url)).status).toBe(200);

    for (const engine of enginesOf(programs)) engines.add(engine);
    for (const { program } of programs.values()) expect(await program.end()).toBe(0);
    await waitUntil('no engine is left behind', () => ![...engines].some(isRunning));
    await inspect(place, works, accepted, load.canceled, killed.length);
  });
});

/** @returns `false` when it has ended by itself meanwhile */
function killNow(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL');
  } catch {
    return false;
  }
}

async function hasEndedAll(origin: string): Promise<boolean> {
  let page: string | null = `${origin}/v1/predictions`;
  while (page) {
    const { results, next } = (await (await fetch(page)).json()) as { results: Answer[]; next: string | null };
    if (!results.every(({ status }) => terminal.includes(status))) return false;
    page = next;
  }
  return true;
}

interface Answer {
  status: string;
  output: string[] | null;
}

type Programs = Map<string, { program: Program; start: () => Promise<Program> }>;

function environmentOf({ home, databaseUrl }: TestPlace): Record<string, string> {
  return {
    DARKROOM_HOME: home,
    DATABASE_URL: databaseUrl ?? '',
    DARKROOM_MODELS: testModels,
    DARKROOM_MAX_ATTEMPTS: '100',
    DARKROOM_LOG_LEVEL: 'error',
    PORT: '0',
  };
}

async function prepare(place: TestPlace): Promise<void> {
  const database = await openDatabase(place, createLog('silent'));
  await installAudit(database.kysely);
  await database.close();
}

/** A server with a worker host in it; on PostgreSQL a worker of its own too. */
async function startAll(kind: DatabaseKind, environment: Record<string, string>): Promise<Programs> {
  const programs: Programs = new Map();
  for (const command of kind === 'PostgreSQL' ? (['serve', 'worker'] as const) : (['serve'] as const)) {
    const start = () => startProgram(command, environment);
    programs.set(command, { program: await start(), start });
  }
  return programs;
}

function enginesOf(programs: Programs): number[] {
  return childrenOf([...programs.values()].map(({ program }) => program.pid));
}

/** Looks at everything that is stored once nothing runs any more. */
async function inspect(
  place: TestPlace,
  works: readonly Work[],
  accepted: string[],
  canceled: ReadonlySet<string>,
  killed: number,
): Promise<void> {
  const database = await openDatabase(place, createLog('silent'));
  const { kysely } = database;
  const predictions = await kysely.selectFrom('predictions').selectAll().execute();
  const files = await kysely.selectFrom('files').selectAll().execute();
  const audit = await readAudit(kysely);
  const tickets = await kysely
    .withSchema('darkroom_queue')
    .selectFrom('job' as never)
    .selectAll()
    .execute();
  await database.close();

  const stored = new Set(predictions.map(({ id }) => id));
  expect(accepted.filter((id) => !stored.has(id))).toEqual([]);
  expect(tickets).toEqual([]);
  const made = new Map<string, Set<string>>();
  for (const { id, version, status, output, attempt, interruptions } of predictions) {
    expect([id, status]).toEqual([
      id,
      canceled.has(id) ? expect.stringMatching(/^(canceled|succeeded)$/) : 'succeeded',
    ]);
    const steps = (audit.get(id) ?? []).map(({ before, after }) => `${before} ${after}`);
    const again = Array.from({ length: interruptions }, () => ['starting processing', 'processing starting']).flat();
    const ends = attempt > interruptions ? ['starting processing', `processing ${status}`] : [`starting ${status}`];
    expect([id, ...steps]).toEqual([id, ...again, ...ends]);
    const own = files.filter((file) => file.prediction_id === id && file.purpose === 'output');
    const keys = ((output as string[] | null) ?? []).map((reference) => parseFileRef(reference)!.key);
    expect(own.map(({ key }) => key).sort()).toEqual(keys.toSorted());
    if (status === 'succeeded') {
      expect(keys).toHaveLength(works.find((work) => work.version === version)!.outputs);
      const pictures = keys.map((key) => own.find((file) => file.key === key)!.sha256).join(' ');
      made.set(version, (made.get(version) ?? new Set()).add(pictures));
    }
  }
  // Interrupted and started again or not: the same input makes the same bytes.
  for (const { version } of works) expect([version, made.get(version)?.size]).toEqual([version, 1]);
  const folder = join(place.home, 'files');
  for (const { key, sha256, size } of files) {
    const path = join(folder, key.slice(0, 2), key);
    expect(existsSync(path)).toBe(true);
    const bytes = readFileSync(path);
    expect([bytes.length, createHash('sha256').update(bytes).digest('hex')]).toEqual([Number(size), sha256]);
  }
  const onDisk = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).length;
  // A kill between storing bytes and committing their row leaves bytes without a row: of an output being stored or
  // dropped, and of inputs that were just sent.
  expect(onDisk - files.length).toBeLessThanOrEqual(killed * (2 + ahead));
  const interrupted = predictions.filter(({ interruptions }) => interruptions > 0).length;
  console.info(`${predictions.length} predictions, ${interrupted} of them interrupted, ${canceled.size} cancels`);
  expect(interrupted).toBeGreaterThan(0);
}

/** Each of the names as often as the others, in any order. */
function shuffled(names: readonly string[], count: number, random: () => number): string[] {
  const all = Array.from({ length: count }, (_, index) => ({ name: names[index % names.length]!, place: random() }));
  return all.toSorted((a, b) => a.place - b.place).map(({ name }) => name);
}

/** Marsaglia's xorshift32: the same seed, the same moments. */
function randomFrom(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
