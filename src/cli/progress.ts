import { stderr } from 'node:process';

/** Shows a prediction's log and how far it is, on standard error. */
export interface Progress {
  log(text: string): void;
  step(current: number, total: number): void;
  /** Ends the bar's line. */
  end(): void;
}

const width = 30;

/** On a terminal one bar that moves; elsewhere the log lines, among which are the model's own progress lines. */
export function createProgress(quiet: boolean): Progress {
  if (quiet) return { log() {}, step() {}, end() {} };
  if (!stderr.isTTY) return { log: (text) => void stderr.write(text), step() {}, end() {} };

  let bar = '';
  const draw = (): void => void stderr.write(`\r\x1b[K${bar}`);
  return {
    log(text) {
      // The bar shows what these lines say.
      const lines = text.split('\n').filter((line) => line !== '' && !/^\s*\d+%\|/.test(line));
      for (const line of lines) stderr.write(`\r\x1b[K${line}\n`);
      draw();
    },
    step(current, total) {
      const full = Math.round((current / total) * width);
      bar = `${'█'.repeat(full)}${'░'.repeat(width - full)} ${current}/${total} steps`;
      draw();
    },
    end() {
      if (bar) stderr.write('\n');
    },
  };
}
