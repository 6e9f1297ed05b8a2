import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Logger } from '../base/log.ts';
import type { Settings } from '../base/settings.ts';
import { slug } from '../catalog/list.ts';
import type { ModelDefinition } from '../catalog/model.ts';
import type { Database } from '../database/database.ts';
import type { FileStore, StoredFile } from '../storage/files.ts';
import { createLoraShelf } from '../storage/lora-shelf.ts';
import type { Interim } from '../webhooks/interim.ts';
import { type AttemptStores, addOutput, appendLog, claim, endAttempt, outputOf } from './attempt.ts';
import { createBell } from './bell.ts';
import { channels } from './channels.ts';
import type { EngineProcess } from './engine-process.ts';
import { openEngineSlot } from './engine-slot.ts';
import { eventOf } from './outcome.ts';
import { persist } from './persist.ts';
import type { Prediction, PredictionEvent } from './prediction.ts';
import { ownedBy, type PresenceTiming, startPresence, usualTiming } from './presence.ts';
import { showPreview } from './previews.ts';
import { type Run, startRun } from './run.ts';
import type { PredictionStore } from './store.ts';
import { tellWebhook } from './webhook-events.ts';

/** How often the queue is looked at although nobody announced anything. */
const lookMs = 1_000;
/** How long a claimed prediction may be without a run, while the answer to the claim is on its way. */
const claimSeconds = 10;

export interface HostOptions {
  database: Database;
  predictions: PredictionStore;
  /** Hears what happens while predictions run. */
  webhooks: Pick<Interim, 'tell' | 'drop'>;
  files: FileStore;
  models: readonly ModelDefinition[];
  settings: Settings;
  log: Logger;
  /** For engines; `process.env` unless a test says otherwise. */
  environment?: NodeJS.ProcessEnv;
  timing?: PresenceTiming;
}

/** Claims predictions and has engine processes run them, `settings.concurrency` at a time. */
export interface Host {
  id: string;
  /** Whether none of its engines can be started, so that nothing would run. */
  isStuck(): boolean;
  /**
   * Lets what runs finish within `graceMs`, unless given as long as the settings say; what does not is queued again, and
   * that start is not counted.
   */
  close(graceMs?: number): Promise<void>;
}

/** Starts the engines, takes back what dead hosts left behind, and begins to claim. */
export async function startHost(options: HostOptions): Promise<Host> {
  const { database, predictions, webhooks, files, models, settings, log } = options;
  const stores: AttemptStores = { database, files, tickets: predictions.tickets };
  const id = `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`;
  const scratch = scratchOf(settings.home, id);
  const loras = createLoraShelf(scratch);
  const runs = new Map<string, Run>();
  const bell = createBell();
  let closing = false;
  /** Whether what runs is given back; also what was still being claimed then. */
  let isReleasing = false;

  const slots = Array.from({ length: settings.concurrency }, () =>
    openEngineSlot(options.environment ?? process.env, log),
  );
  const presence = await startPresence({
    stores,
    hostId: id,
    maxAttempts: settings.maxAttempts,
    timing: options.timing ?? usualTiming,
    log,
    compare: compareRuns,
  });
  await makeScratch(database, settings.home, id);
  const stopListening = [
    database.listen(channels.waiting, bell.ring),
    database.listen(channels.watched, (watchedId) => runs.get(watchedId)?.watch()),
    database.listen(channels.cancel, (canceledId) => runs.get(canceledId)?.stop('canceled')),
  ];
  await database.listening();
  const timer = setInterval(bell.ring, lookMs);
  const loops = slots.map((slot) => work(slot.engine));

  /** One engine's life: take a prediction, run it, take the next. */
  async function work(nextEngine: () => Promise<EngineProcess | undefined>): Promise<void> {
    for (let heard = bell.count(); !closing; heard = bell.count()) {
      const engine = await nextEngine();
      if (!engine || closing) return;
      const prediction = await claim(stores, id).catch((error: Error) => {
        log.warn({ error: error.message }, 'the queue could not be read');
        return undefined;
      });
      if (prediction) await runOne(prediction, engine);
      else await bell.after(heard);
    }
  }

  async function runOne(prediction: Prediction, engine: EngineProcess): Promise<void> {
    const finish = (...events: PredictionEvent[]) =>
      persist(() => endAttempt(stores, prediction.id, events)).catch((error: Error) =>
        log.error({ prediction: prediction.id, error: error.message }, 'an end was not stored'),
      );
    const { attempt } = prediction;
    const model = models.find((candidate) => slug(candidate) === prediction.model);
    if (!model) {
      await finish({ type: 'failed', attempt, error: `This worker has no model ${prediction.model}.` });
      return;
    }
    const tell = tellWebhook(webhooks, prediction);
    const written = async (write: () => Promise<Prediction | undefined>): Promise<boolean> => {
      const after = await persist(write);
      if (after) tell(after);
      return after !== undefined;
    };
    let isEmpty = true;
    const record = {
      log: (text: string) => written(() => appendLog(stores, prediction, text)),
      output: (stored: readonly StoredFile[]) => {
        isEmpty = false;
        return written(() => addOutput(stores, prediction, stored.at(-1)!, outputOf(model.output, stored)));
      },
      preview: (picture: string) => showPreview(database, prediction.id, picture),
    };
    const run = startRun({ prediction, model, engine, files, loras, record, settings, scratch, log });
    runs.set(prediction.id, run);
    if (isReleasing) run.stop('released');
    log.info({ prediction: prediction.id, model: prediction.model, attempt }, 'prediction started');
    const { outcome, lastLogs } = await run.ended;
    webhooks.drop(prediction.id);
    const event = eventOf(outcome, attempt, settings.maxAttempts);
    if (event) {
      const logged: PredictionEvent = { type: 'logged', attempt, text: lastLogs };
      // A model may leave out every file of its list, and then the list is empty.
      const nothing: PredictionEvent = { type: 'output', attempt, output: outputOf(model.output, []) };
      await finish(logged, ...(isEmpty && event.type === 'succeeded' ? [nothing] : []), event);
    }
    // Only now: a prediction that is ours and has no run is taken for one whose end could not be stored.
    runs.delete(prediction.id);
    log.info({ prediction: prediction.id, attempt, outcome: outcome.type }, 'prediction ended');
  }

  /** Puts right what messages missed: cancels, predictions that others took, and ends that could not be stored. */
  async function compareRuns(): Promise<void> {
    const before = [...runs.values()];
    const owned = new Map((await ownedBy(database, id)).map((prediction) => [prediction.id, prediction]));
    for (const run of before) {
      const prediction = owned.get(run.id);
      if (prediction?.attempt !== run.attempt) run.stop('lost');
      else if (prediction.cancelRequested) run.stop('canceled');
    }
    for (const { id: ownedId, attempt, age } of owned.values()) {
      if (runs.has(ownedId) || age < claimSeconds) continue;
      const what = 'worker host lost it';
      await endAttempt(stores, ownedId, { type: 'interrupted', attempt, what, maxAttempts: settings.maxAttempts });
    }
  }

  return {
    id,
    isStuck: () => slots.every((slot) => slot.isFailing()),
    async close(graceMs = settings.shutdownGraceMs) {
      closing = true;
      clearInterval(timer);
      for (const stop of stopListening) stop();
      for (const slot of slots) slot.retire();
      bell.ring();
      const release = setTimeout(() => {
        isReleasing = true;
        for (const run of runs.values()) run.stop('released');
      }, graceMs);
      await Promise.all(loops);
      clearTimeout(release);
      await Promise.all(slots.map((slot) => slot.close()));
      await presence.close();
      await rm(scratch, { recursive: true, force: true });
    },
  };
}

function scratchOf(home: string, hostId: string): string {
  return join(home, 'scratch', hostId);
}

/** Makes the host's folder for files of running predictions, and removes those of hosts that are no more. */
async function makeScratch(database: Database, home: string, hostId: string): Promise<void> {
  await mkdir(scratchOf(home, hostId), { recursive: true });
  // In this order: a host is in the table before it makes its folder, so one that is not there has left its folder behind.
  const folders = await readdir(join(home, 'scratch'));
  const living = await database.kysely.selectFrom('hosts').select('id').execute();
  for (const folder of folders) {
    if (!living.some(({ id }) => id === folder)) await rm(scratchOf(home, folder), { recursive: true, force: true });
  }
}
