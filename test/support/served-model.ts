import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Replicate, { type Prediction } from 'replicate';
import { addDatabase } from './databases.ts';
import { shareMiniSet } from './mini-set.ts';
import { type Program, startProgram } from './program.ts';
import { waitUntil } from './wait-until.ts';

/** A built-in model through the whole product: `darkroom serve` as a process, asked by the unmodified client. */
export interface ServedModel {
  /** The data folder and Hugging Face's cache; there from the beginning, gone after `close`. */
  home: string;
  /** `http://127.0.0.1:<port>`, another one after each start. */
  readonly origin: string;
  /** Of the server. */
  readonly pid: number;
  readonly replicate: Replicate;
  /** Starts the server, or ends it and starts another on the same folder. */
  start(settings?: Record<string, string>): Promise<void>;
  create(input: object): Promise<Prediction>;
  /** Runs to the end. @returns the prediction and the bytes of its files */
  predict(input: object): Promise<{ prediction: Prediction; files: Buffer[] }>;
  /** As the client's own `wait`, which throws where a prediction failed. */
  ended(prediction: Prediction): Promise<Prediction>;
  close(): Promise<void>;
}

/** @param model `owner/name:version` */
export function servedModel(model: string): ServedModel {
  const home = mkdtempSync(join(tmpdir(), 'darkroom-e2e-'));
  let server: Program | undefined;
  let replicate: Replicate;

  const create: ServedModel['create'] = (input) => replicate.predictions.create({ version: model, input });
  const ended: ServedModel['ended'] = ({ id }) =>
    waitUntil(
      `prediction ${id} has ended`,
      async () => {
        const prediction = await replicate.predictions.get(id);
        return ['starting', 'processing'].includes(prediction.status) ? undefined : prediction;
      },
      120_000,
    );

  return {
    home,
    get origin() {
      return server!.origin;
    },
    get pid() {
      return server!.pid;
    },
    get replicate() {
      return replicate;
    },
    async start(settings = {}) {
      if (server) {
        await server.end();
      } else {
        await addDatabase(home);
        shareMiniSet(home);
      }
      const own = { PORT: '0', DARKROOM_HOME: home, HF_HOME: home, DARKROOM_LOG_LEVEL: 'warn' };
      server = await startProgram('serve', { ...own, ...settings });
      replicate = new Replicate({ baseUrl: `${server.origin}/v1`, auth: 'any' });
    },
    create,
    async predict(input) {
      const prediction = await ended(await create(input));
      const outputs = [prediction.output ?? []].flat() as string[];
      return { prediction, files: await Promise.all(outputs.map(fetchFile)) };
    },
    ended,
    async close() {
      await server?.end();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

export async function fetchFile(url: string): Promise<Buffer> {
  return Buffer.from(await (await fetch(url)).arrayBuffer());
}

export function digest(file: Buffer | undefined): string {
  return createHash('sha256').update(file!).digest('hex');
}
