import type { Database } from '../database/database.ts';
import { channels } from './channels.ts';
import { isTerminal, type Prediction } from './prediction.ts';
import { predictionOf } from './rows.ts';

/** How many predictions one query reads: an embedded database answers nobody else meanwhile. */
const batch = 200;
/** How long an ended prediction is taken to be as it was read. Only the removal of its data can change it. */
const rememberedMs = 5_000;
const mostRemembered = 1_000;
/** Characters of input, output and logs beyond which a prediction is read again each time. */
const longestRemembered = 20_000;

/** Reads predictions by their ids; many readers cost few queries. */
export interface Reader {
  /** As it stands at the call or later. The data of an ended one may have been removed within the last seconds. */
  read(id: string): Promise<Prediction | undefined>;
  close(): void;
}

/**
 * Those who ask while a query is under way share the next one: it begins after all of them have asked, so each sees what
 * was written before. Ended predictions are remembered. They change no more, but for the removal of their data, of which
 * this process hears, or learns when it reads again.
 */
export function createReader(database: Database): Reader {
  const asked = new Map<string, Asked>();
  const remembered = new Map<string, { prediction: Prediction; until: number }>();
  let isReading = false;

  const readAll = async (): Promise<void> => {
    if (isReading) return;
    isReading = true;
    // Who asks in the same moment is read for together.
    await new Promise((resolve) => setImmediate(resolve));
    while (asked.size > 0) {
      const now = new Map([...asked].slice(0, batch));
      for (const id of now.keys()) asked.delete(id);
      await readThese(now);
    }
    isReading = false;
  };
  const readThese = async (now: ReadonlyMap<string, Asked>): Promise<void> => {
    try {
      const rows = await database.kysely
        .selectFrom('predictions')
        .selectAll()
        .where('id', 'in', [...now.keys()])
        .execute();
      const found = new Map(rows.map((row) => [row.id, predictionOf(row)]));
      for (const prediction of found.values()) remember(prediction);
      for (const [id, { resolve }] of now) resolve(found.get(id));
    } catch (error) {
      for (const { reject } of now.values()) reject(error);
    }
  };
  const remember = (prediction: Prediction): void => {
    if (!isTerminal(prediction.status) || lengthOf(prediction) > longestRemembered) return;
    // The place of the newest is at the end; the first ones go first.
    remembered.delete(prediction.id);
    remembered.set(prediction.id, { prediction, until: performance.now() + rememberedMs });
    if (remembered.size > mostRemembered) remembered.delete(remembered.keys().next().value!);
  };
  const stopListening = database.listen(channels.removed, (id) => remembered.delete(id));

  return {
    async read(id) {
      const known = remembered.get(id);
      if (known && known.until > performance.now()) return known.prediction;
      let one = asked.get(id);
      if (!one) {
        one = deferred();
        asked.set(id, one);
        void readAll();
      }
      return one.promise;
    },
    close() {
      stopListening();
      remembered.clear();
    },
  };
}

interface Asked {
  promise: Promise<Prediction | undefined>;
  resolve(prediction: Prediction | undefined): void;
  reject(error: unknown): void;
}

function deferred(): Asked {
  let resolve!: Asked['resolve'];
  let reject!: Asked['reject'];
  const promise = new Promise<Prediction | undefined>((resolveIt, rejectIt) => {
    resolve = resolveIt;
    reject = rejectIt;
  });
  return { promise, resolve, reject };
}

function lengthOf({ input, output, logs, error }: Prediction): number {
  return logs.length + (error?.length ?? 0) + JSON.stringify(input).length + JSON.stringify(output).length;
}
