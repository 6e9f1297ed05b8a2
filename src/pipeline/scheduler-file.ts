import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { WeightError } from '../base/errors.ts';
import { asOptions } from '../networks/config-options.ts';
import type { SchedulerConfig } from '../schedulers/config.ts';

/**
 * The noise that a base model was trained on, and where its runs step.
 *
 * @param folder of a Stable Diffusion repository; holds `scheduler/scheduler_config.json`
 * @throws WeightError when it is missing or damaged
 */
export async function readSchedulerConfig(folder: string): Promise<SchedulerConfig> {
  const path = join(folder, 'scheduler', 'scheduler_config.json');
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new WeightError(`The configuration ${path} cannot be read (${error.code}); download it again.`);
  });
  try {
    return asOptions(JSON.parse(withNumbers(text)));
  } catch {
    throw new WeightError(`The configuration ${path} is not that of a scheduler; download it again.`);
  }
}

/** Python writes an infinite number, such as DPM-Solver's `lambda_min_clipped`, in a way that JSON does not have. */
function withNumbers(text: string): string {
  return text.replaceAll(/(?<=[:,[]\s*-?)Infinity\b/g, '1e999');
}
