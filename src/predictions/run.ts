import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Settings } from '../base/settings.ts';
import type { ModelDefinition } from '../catalog/model.ts';
import type { FileStore, StoredFile } from '../storage/files.ts';
import type { LoraShelf } from '../storage/lora-shelf.ts';
import type { EngineMessage } from '../worker/protocol.ts';
import type { EngineProcess } from './engine-process.ts';
import { createLogWriter } from './log-writer.ts';
import type { Outcome } from './outcome.ts';
import type { Prediction } from './prediction.ts';
import { resolveInput } from './resolve-input.ts';

/** What a run writes. What is kept resolves to `false` when the prediction is not ours any more. */
export interface RunRecord {
  log(text: string): Promise<boolean>;
  output(files: readonly StoredFile[]): Promise<boolean>;
  /** Kept nowhere. */
  preview(picture: string): void;
}

export interface RunOptions {
  /** As claimed: `processing`, with this attempt's number. */
  prediction: Prediction;
  model: ModelDefinition;
  engine: EngineProcess;
  files: FileStore;
  loras: LoraShelf;
  record: RunRecord;
  settings: Settings;
  /** Folder for files of running predictions; each attempt makes its own in it. */
  scratch: string;
  log: Logger;
}

export interface RunEnd {
  outcome: Outcome;
  /** The end of the logs, to be written together with the end of the prediction. */
  lastLogs: string;
}

/** One attempt at a prediction, from its input to how it ended. */
export interface Run {
  id: string;
  attempt: number;
  /** Never rejects. Outputs are stored when it resolves. */
  ended: Promise<RunEnd>;
  /** Asks the engine to stop, and ends its process if it does not within the grace period. */
  stop(because: 'canceled' | 'lost' | 'released'): void;
  /** Somebody wants to see how it looks. */
  watch(): void;
}

export function startRun(options: RunOptions): Run {
  const { prediction, engine, settings } = options;
  const stopping = new AbortController();
  /** Set once somebody wants the run to stop; it then ends so, unless the engine was done already. */
  let wanted: Outcome | undefined;
  let grace: NodeJS.Timeout | undefined;

  let over = false;

  const end = (how: Outcome, graceMs: number): void => {
    // Once the run is over its engine may be at work on another prediction.
    if (over || wanted?.type === 'lost' || (wanted && how.type !== 'lost')) return;
    wanted = how;
    stopping.abort();
    engine.send({ type: 'cancel', id: prediction.id });
    grace ??= setTimeout(() => engine.kill(), graceMs);
  };
  const timeout = setTimeout(() => {
    const limit = `${settings.runTimeoutMs / 1000} s`;
    end({ type: 'failed', error: `The prediction ran longer than ${limit} and was stopped.` }, settings.cancelGraceMs);
  }, settings.runTimeoutMs);

  const ended = carryOut(options, stopping.signal, () => end({ type: 'lost' }, settings.cancelGraceMs))
    .then(({ outcome, lastLogs }): RunEnd => {
      const done = outcome.type === 'succeeded' && wanted?.type !== 'lost';
      return { outcome: done ? outcome : (wanted ?? outcome), lastLogs };
    })
    .finally(() => {
      over = true;
      clearTimeout(timeout);
      clearTimeout(grace);
    });
  return {
    id: prediction.id,
    attempt: prediction.attempt,
    ended,
    watch: () => engine.send({ type: 'watch', id: prediction.id }),
    stop: (because) => end({ type: because }, because === 'released' ? 0 : settings.cancelGraceMs),
  };
}

async function carryOut(options: RunOptions, signal: AbortSignal, lost: () => void): Promise<RunEnd> {
  const { prediction, model, engine, files, loras, record, scratch, log } = options;
  const folder = join(scratch, `${prediction.id}-${prediction.attempt}`);
  const logs = createLogWriter(async (text) => {
    if (!(await record.log(text))) lost();
  });
  const stored: StoredFile[] = [];
  // Outputs are stored one after the other, in the order in which the engine made them.
  let storing: Promise<void> = Promise.resolve();
  const store = async (name: string, path: string): Promise<void> => {
    const file = await files.put(name, { path });
    stored.push(file);
    if (await record.output(stored)) return;
    await files.delete(file.key);
    lost();
  };
  try {
    await mkdir(join(folder, 'output'), { recursive: true });
    const input = await resolveInput(model.inputs, prediction.input, {
      ...options,
      folder,
      signal,
      log: (line) => logs.add(`${line}\n`),
    });
    signal.throwIfAborted();
    const outcome = await predict(engine, { ...prediction, input }, join(folder, 'output'), (message) => {
      if (message.type === 'log') logs.add(message.text);
      if (message.type === 'preview') record.preview(message.picture);
      if (message.type === 'output') {
        storing = storing.then(() => store(message.name, message.path));
        storing.catch(() => {});
      }
    });
    await storing;
    return { outcome, lastLogs: await logs.end() };
  } catch (error) {
    const lastLogs = await logs.end().catch(() => '');
    if (signal.aborted) return { outcome: { type: 'canceled' }, lastLogs };
    if (error instanceof InputError) return { outcome: { type: 'failed', error: error.message }, lastLogs };
    log.error({ prediction: prediction.id, error: error instanceof Error ? error.stack : error }, 'a run broke');
    // A full disk, a database that stays away: not the prediction's fault, and worth another attempt.
    return { outcome: { type: 'interrupted', what: 'worker could not carry it out' }, lastLogs };
  } finally {
    await loras.release(folder).catch(() => {});
    await rm(folder, { recursive: true, force: true }).catch(() => {});
  }
}

/** Hands the prediction to the engine and resolves with how it, or the engine, ended. */
async function predict(
  engine: EngineProcess,
  { id, model, input }: Pick<Prediction, 'id' | 'model' | 'input'>,
  outputFolder: string,
  heard: (message: EngineMessage) => void,
): Promise<Outcome> {
  return new Promise<Outcome>((resolve) => {
    engine.onMessage((message) => {
      if (message.type === 'ready' || message.id !== id) return;
      if (message.type === 'succeeded') resolve({ type: 'succeeded', predictSeconds: message.predictSeconds });
      else if (message.type === 'failed') resolve({ type: 'failed', error: message.error });
      else if (message.type === 'canceled') resolve({ type: 'canceled' });
      else heard(message);
    });
    engine.onEnd((how) => resolve({ type: 'interrupted', what: `engine process ended unexpectedly (${how})` }));
    engine.send({ type: 'predict', id, model, input, outputFolder });
  });
}
