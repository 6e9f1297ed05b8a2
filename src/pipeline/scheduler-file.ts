import { join } from 'node:path';
import { asOptions } from '../networks/config-options.ts';
import type { SchedulerConfig } from '../schedulers/config.ts';
import { readConfig } from '../weights/network-files.ts';

/**
 * The noise that a base model was trained on, and where its runs step.
 *
 * @param folder of a Stable Diffusion repository; holds `scheduler/scheduler_config.json`
 * @throws WeightError when it is missing or damaged
 */
export async function readSchedulerConfig(folder: string): Promise<SchedulerConfig> {
  return asOptions(await readConfig(join(folder, 'scheduler', 'scheduler_config.json')));
}
