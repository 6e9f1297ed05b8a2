import { writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { CanceledError, InputError, WeightError } from '../base/errors.ts';
import type { Settings } from '../base/settings.ts';
import type { Fields, InputOf } from '../catalog/fields.ts';
import { slug } from '../catalog/list.ts';
import type { CancelSignal, ModelDefinition, PredictContext, WeightRepository } from '../catalog/model.ts';
import { isCpu } from '../runtime/providers.ts';
import type { Residency } from '../runtime/residency.ts';
import { float32Folder } from '../weights/float32-copy.ts';
import { filesIn } from '../weights/inventory.ts';
import { locateWeights } from '../weights/locate.ts';
import type { Previews } from './preview.ts';
import { progressLine } from './progress-line.ts';
import { type EngineMessage, type HostMessage, longestLogText } from './protocol.ts';
import { residencyLine } from './residency-line.ts';
import { weightsLine } from './weights-line.ts';

export interface Engine {
  settings: Settings;
  models: readonly ModelDefinition[];
  residency: Residency;
  signal: CancelSignal;
  previews: Previews;
  send(message: EngineMessage): void;
}

/** Runs one prediction to its end and reports it: logs, progress and files as they come, then how it ended. */
export async function runPrediction(job: HostMessage & { type: 'predict' }, engine: Engine): Promise<void> {
  const startedAt = performance.now();
  try {
    const model = engine.models.find((candidate) => slug(candidate) === job.model);
    if (!model) throw new InputError(`The engine has no model ${job.model}.`);
    for await (const file of model.predict(job.input as InputOf<Fields>, contextOf(job, engine))) {
      const path = join(job.outputFolder, basename(file.name));
      await writeFile(path, file.bytes);
      engine.send({ type: 'output', id: job.id, name: file.name, contentType: file.contentType, path });
    }
    engine.signal.throwIfAborted();
    engine.send({ type: 'succeeded', id: job.id, predictSeconds: Math.round(performance.now() - startedAt) / 1000 });
  } catch (error) {
    engine.send(endOf(job.id, error));
  }
}

function contextOf({ id, model }: HostMessage & { type: 'predict' }, engine: Engine): PredictContext {
  const log = (line: string): void => {
    const text = line.length > longestLogText ? `${line.slice(0, longestLogText - 2)} …` : line;
    engine.send({ type: 'log', id, text: `${text}\n` });
  };
  let firstStepAt: number | undefined;
  return {
    log,
    step(current, total) {
      const now = performance.now();
      if (current === 0) firstStepAt = now;
      engine.send({ type: 'progress', id, current, total });
      log(progressLine(current, total, (now - (firstStepAt ?? now)) / 1000));
    },
    preview: (draw) => engine.previews.show(id, draw),
    signal: engine.signal,
    residency: {
      ...engine.residency,
      use: (network, work) => engine.residency.use(network, work, (event) => log(residencyLine(event))),
    },
    licences: engine.settings.weightLicences,
    async locate(repositories) {
      const located = await locateWeights(repositories, engine.settings);
      log(weightsLine(located, model, repositories));
      if (located.set === 'mini' || !isCpu(engine.settings.device)) return located;
      return { ...located, folders: await inFloat32(located.folders, repositories, engine.settings.home, log) };
    },
  };
}

/** The CPU computes in float32; files of half precision are converted once and stay converted. */
async function inFloat32(
  folders: readonly string[],
  repositories: readonly WeightRepository[],
  home: string,
  log: (line: string) => void,
): Promise<string[]> {
  const cache = join(home, 'weights', 'float32');
  const converted: string[] = [];
  for (const [index, folder] of folders.entries()) {
    const { repository } = repositories[index]!;
    const paths = (await filesIn(folder, repositories[index]!)).map(({ path }) => path);
    const onConvert = (file: string): void => log(`Converting ${file} of ${repository} to float32, once.`);
    converted.push(await float32Folder(folder, paths, cache, onConvert));
  }
  return converted;
}

function endOf(id: string, error: unknown): EngineMessage {
  if (error instanceof CanceledError) return { type: 'canceled', id };
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof InputError) return { type: 'failed', id, cause: 'input', error: message };
  if (error instanceof WeightError) return { type: 'failed', id, cause: 'weights', error: message };
  // The stack is for the operator's log; the caller sees the message alone.
  process.stderr.write(`${error instanceof Error ? error.stack : message}\n`);
  return { type: 'failed', id, cause: 'engine', error: withoutPlace(error) ?? message };
}

/** An error of the operating system names a place on this machine, which is nobody's business. */
function withoutPlace(error: unknown): string | undefined {
  if (!(error instanceof Error && 'syscall' in error && 'code' in error)) return undefined;
  return `The engine could not go on: ${error.code} from ${error.syscall}. The server's log says where.`;
}
