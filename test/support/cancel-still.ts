import { setTimeout as pause } from 'node:timers/promises';
import type { Prediction } from 'replicate';
import { childrenOf } from './program.ts';
import type { ServedModel } from './served-model.ts';

/**
 * Cancels a prediction that runs while its engine stands still, and lets the engine go on once it has been told: so what it
 * does afterwards does not depend on how long the server took to hear of it.
 *
 * @returns the prediction as it stood then, with all that the engine had said
 */
export async function cancelStill(darkroom: ServedModel, id: string): Promise<Prediction> {
  const { predictions } = darkroom.replicate;
  const engines = childrenOf([darkroom.pid]);
  for (const pid of engines) process.kill(pid, 'SIGSTOP');
  try {
    // A server that answers so often without anything new has nothing left to store.
    let logs: string | undefined;
    for (let same = 0; same < 10; ) {
      await pause(50);
      const now = (await predictions.get(id)).logs ?? '';
      same = now === logs ? same + 1 : 0;
      logs = now;
    }
    const before = await predictions.cancel(id);
    // It tells the engine right after it has answered.
    await predictions.get(id);
    return before;
  } finally {
    for (const pid of engines) process.kill(pid, 'SIGCONT');
  }
}
