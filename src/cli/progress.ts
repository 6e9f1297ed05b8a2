import { stderr } from 'node:process';

/** Shows a prediction's log and how far it is, on standard error. */
export interface Progress {
  log(text: string): void;
  step(current: number, total: number): void;
  /** Ends the bar's line. */
  end(): void;
}

/** On a terminal one bar that moves; elsewhere the log lines, among which are the model's own progress lines. */
export function createProgress(quiet: boolean): Progress {
  if (quiet) return { log() {}, step() {}, end() {} };
  if (!stderr.isTTY) return { log: (text) => void stderr.write(text), step() {}, end() {} };

  let bar = '';
  let begunAt = 0;
  const draw = (): void => void stderr.write(`\r\x1b[K${bar}`);
  return {
    log(text) {
      // The bar shows what these lines say.
      const lines = text.split('\n').filter((line) => line !== '' && !/^\s*\d+%\|/.test(line));
      for (const line of lines) stderr.write(`\r\x1b[K${line}\n`);
      draw();
    },
    step(current, total) {
      const now = performance.now();
      // Each bar of a prediction begins at nought; a film has a second one, for its frames.
      if (current === 0) begunAt = now;
      bar = progressBar(current, total, (now - begunAt) / 1000);
      draw();
    },
    end() {
      if (bar) stderr.write('\n');
    },
  };
}

const width = 30;

/** @param seconds since the first step began; without a GPU a prediction can take an hour, so what is left is said */
export function progressBar(current: number, total: number, seconds: number): string {
  const full = Math.round((current / total) * width);
  const bar = `${'█'.repeat(full)}${'░'.repeat(width - full)} ${current}/${total} steps`;
  if (current === 0 || current === total) return bar;
  return `${bar}, about ${roughly((seconds / current) * (total - current))} left`;
}

function roughly(seconds: number): string {
  if (seconds < 59.5) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
