import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { WeightError } from '../base/errors.ts';
import { asOptions } from '../networks/config-options.ts';
import { isSchedulerKey, type SchedulerConfig } from '../schedulers/config.ts';

/**
 * The noise that a base model was trained on, and where its runs step. Keys that no scheduler here has are left out, as
 * diffusers leaves them aside: files of other releases and classes have more, and nobody who asks for a picture can help it.
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
    const config = asOptions(JSON.parse(withNumbers(text)));
    return Object.fromEntries(Object.entries(config).filter(([key]) => isSchedulerKey(key)));
  } catch {
    throw new WeightError(`The configuration ${path} is not that of a scheduler; download it again.`);
  }
}

/** Python writes an infinite number, such as DPM-Solver's `lambda_min_clipped`, in a way that JSON does not have. */
function withNumbers(text: string): string {
  return text.replaceAll(/(?<=[:,[]\s*-?)Infinity\b/g, '1e999');
}
