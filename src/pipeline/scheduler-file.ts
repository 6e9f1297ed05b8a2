import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { WeightError } from '../base/errors.ts';
import { asOptions, type Options } from '../networks/config-options.ts';
import { isSchedulerKey, type SchedulerConfig } from '../schedulers/config.ts';
import { presentFile } from '../weights/network-files.ts';
import { singleFile, stableDiffusionXlSchedule } from '../weights/single-file.ts';

/**
 * The noise that a base model was trained on, and where its runs step. Keys that no scheduler here has are left out, as
 * diffusers leaves them aside: files of other releases and classes have more, and nobody who asks for a picture can help it.
 *
 * @param folder of a Stable Diffusion repository; holds `scheduler/scheduler_config.json`, which one in one file may lack
 * @throws WeightError when it is missing or damaged
 */
export async function readSchedulerConfig(folder: string): Promise<SchedulerConfig> {
  const path = join(folder, 'scheduler', 'scheduler_config.json');
  const isSingleFile = (await presentFile(join(folder, singleFile))) !== undefined;
  if (isSingleFile && !(await presentFile(path))) return known(stableDiffusionXlSchedule);
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new WeightError(`The configuration ${path} cannot be read (${error.code}); download it again.`);
  });
  try {
    return known(asOptions(JSON.parse(withNumbers(text))));
  } catch {
    throw new WeightError(`The configuration ${path} is not that of a scheduler; download it again.`);
  }
}

function known(config: Options): SchedulerConfig {
  return Object.fromEntries(Object.entries(config).filter(([key]) => isSchedulerKey(key)));
}

/** Python writes an infinite number, such as DPM-Solver's `lambda_min_clipped`, in a way that JSON does not have. */
function withNumbers(text: string): string {
  return text.replaceAll(/(?<=[:,[]\s*-?)Infinity\b/g, '1e999');
}
