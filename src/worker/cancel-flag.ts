import { CanceledError } from '../base/errors.ts';
import type { CancelSignal } from '../catalog/model.ts';

/** Marks the running prediction as canceled, from another thread, while the engine's thread is inside a network. */
export function requestCancel(flag: SharedArrayBuffer): void {
  Atomics.store(new Int32Array(flag), 0, 1);
}

export function resetCancel(flag: SharedArrayBuffer): void {
  Atomics.store(new Int32Array(flag), 0, 0);
}

export function cancelSignal(flag: SharedArrayBuffer): CancelSignal {
  const cells = new Int32Array(flag);
  return {
    get aborted() {
      return Atomics.load(cells, 0) === 1;
    },
    throwIfAborted() {
      if (this.aborted) throw new CanceledError();
    },
  };
}
