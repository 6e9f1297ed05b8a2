import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Before memory is measured: what earlier tests of this process have left would go in the middle of it. Twice, as what the
 * first one finds is freed beside the program, and the second waits for that.
 */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  collect();
  collect();
}
