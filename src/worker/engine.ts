/** The thread of an engine process in which models run, one prediction at a time. */
import { parentPort, workerData } from 'node:worker_threads';
import { readSettings } from '../base/settings.ts';
import { sizeText } from '../base/size-text.ts';
import { loadModels } from '../catalog/list.ts';
import { memoryBudget } from '../runtime/memory-budget.ts';
import { createResidency } from '../runtime/residency.ts';
import { cancelSignal } from './cancel-flag.ts';
import { createPreviews } from './preview.ts';
import type { EngineMessage, HostMessage } from './protocol.ts';
import { runPrediction } from './run-prediction.ts';

const settings = readSettings();
const models = await loadModels(settings.modelFolders);
const residency = createResidency({
  device: settings.device,
  budget: memoryBudget(settings),
  // Lines on standard output reach the server's log.
  onEvent: ({ type, key, memory, milliseconds }) =>
    void process.stdout.write(
      `${type} ${key}: ${sizeText(memory.weights)} of weights, ${Math.round(milliseconds)} ms\n`,
    ),
});
const signal = cancelSignal((workerData as { cancelFlag: SharedArrayBuffer }).cancelFlag);
const send = (message: EngineMessage): void => parentPort?.postMessage(message);

const previews = createPreviews(send);

parentPort?.on('message', (message: HostMessage) => {
  if (message.type === 'watch') previews.watch(message.id);
  if (message.type !== 'predict') return;
  runPrediction(message, { settings, models, residency, signal, previews, send }).catch((error: unknown) => {
    // `runPrediction` reports every fault of a prediction itself; what arrives here is a fault of the engine.
    setImmediate(() => {
      throw error;
    });
  });
});

send({ type: 'ready' });
