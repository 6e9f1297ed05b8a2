import type { PredictContext } from '../../src/catalog/model.ts';
import { createResidency } from '../../src/runtime/residency.ts';
import { locateWeights } from '../../src/weights/locate.ts';
import { sharedHome } from './mini-set.ts';

/** What surrounds a prediction that runs in the test's own process, on the mini set. */
export interface MiniContext extends PredictContext {
  /** Everything that was logged so far. */
  lines: string[];
  close(): Promise<void>;
}

export function miniContext(changes: Partial<PredictContext> = {}): MiniContext {
  const home = sharedHome();
  const residency = createResidency({ device: 'cpu' });
  const lines: string[] = [];
  const settings = { weights: 'mini', weightLicences: 'all', weightsPath: undefined, hfHome: home, home } as const;
  return {
    log: (line) => void lines.push(line),
    step() {},
    preview() {},
    signal: { aborted: false, throwIfAborted() {} },
    residency,
    licences: 'all',
    locate: (repositories) => locateWeights(repositories, settings),
    ...changes,
    lines,
    close: () => residency.close(),
  };
}
