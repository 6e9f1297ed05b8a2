/**
 * The engine process: the child that a worker host starts, one per concurrent prediction.
 *
 * This thread only carries messages, so it answers at once. Models run in `engine.ts`, a worker thread, because
 * ONNX Runtime blocks the thread that it runs on. Cancel reaches that thread through shared memory: a message would
 * wait until the running network returns to the event loop.
 */
import { Worker } from 'node:worker_threads';
import { entryPoint } from '../base/entry-point.ts';
import { requestCancel, resetCancel } from './cancel-flag.ts';
import type { EngineMessage, HostMessage } from './protocol.ts';

const cancelFlag = new SharedArrayBuffer(4);
const engine = new Worker(entryPoint('worker/engine'), { workerData: { cancelFlag } });
let running: string | undefined;
let shuttingDown = false;

process.on('message', (message: HostMessage) => {
  switch (message.type) {
    case 'predict':
      running = message.id;
      resetCancel(cancelFlag);
      engine.postMessage(message);
      break;
    case 'cancel':
      if (message.id === running) requestCancel(cancelFlag);
      break;
    case 'watch':
      engine.postMessage(message);
      break;
    case 'shutdown':
      shuttingDown = true;
      if (!running) process.exit(0);
  }
});

engine.on('message', (message: EngineMessage) => {
  const ended = message.type === 'succeeded' || message.type === 'failed' || message.type === 'canceled';
  if (ended) running = undefined;
  process.send?.(message, () => {
    if (ended && shuttingDown) process.exit(0);
  });
});

// A fault of the thread ends the process: the host sees the exit and runs the prediction again in a fresh one.
engine.on('error', (error) => {
  process.stderr.write(`${error.stack ?? error}\n`, () => process.exit(1));
});
engine.on('exit', () => process.exit(1));

// Without its host an engine has no purpose, and nobody else would end it. A host that died while this process was
// still loading has disconnected before anybody listened.
process.on('disconnect', () => process.exit(0));
if (!process.connected) process.exit(0);
// A terminal's Ctrl+C reaches the whole process group; the host decides when its engines end.
process.on('SIGINT', () => {});
