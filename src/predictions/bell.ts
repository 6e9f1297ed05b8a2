/** Wakes whoever waits, and whoever was about to wait when it rang. */
export interface Bell {
  ring(): void;
  /** How often it rang. */
  count(): number;
  /** Resolves once it has rung more often than `heard` times. */
  after(heard: number): Promise<void>;
}

export function createBell(): Bell {
  let rung = 0;
  let waiting: (() => void)[] = [];
  return {
    ring() {
      rung++;
      const awake = waiting;
      waiting = [];
      for (const resolve of awake) resolve();
    },
    count: () => rung,
    after: (heard) =>
      rung > heard
        ? Promise.resolve()
        : new Promise((resolve) => {
            waiting.push(resolve);
          }),
  };
}
