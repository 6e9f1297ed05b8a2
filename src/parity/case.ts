/**
 * Parity cases: folders that hold what a reference implementation computed, and what it was given, so that anybody can
 * check a number of Darkroom's. `darkroom parity --help` tells the format.
 */
import { InputError } from '../base/errors.ts';
import type { Settings } from '../base/settings.ts';
import { readCaseJson } from './case-json.ts';
import { compareTensors, type OutputError } from './compare.ts';
import { type NetworkCase, readNetworkCase, runNetworkCase } from './network-case.ts';
import { runSchedulerCase } from './scheduler-case.ts';

export interface CaseReport {
  /** What was checked: `clip-text`, `EulerDiscreteScheduler`. */
  subject: string;
  /** The largest relative L2 error that each output may have. */
  tolerance: number;
  errors: OutputError[];
}

/** What is expected of a sampler where its case does not say. */
const schedulerTolerance = 1e-5;

/**
 * Computes a case and compares. A case that is above its tolerance is reported and no error.
 *
 * @throws InputError naming what is wrong with the case; WeightError naming a file that cannot be used
 */
export async function checkCase(folder: string, device: Settings['device']): Promise<CaseReport> {
  const json = await readCaseJson(folder);
  switch (json.kind) {
    case 'network': {
      const found = readNetworkCase(json);
      const { actual, expected } = await runNetworkCase(folder, found, { device });
      return { subject: found.network, tolerance: found.tolerance.relL2, errors: compareTensors(actual, expected) };
    }
    case 'scheduler': {
      const tolerance = toleranceOf(json) ?? schedulerTolerance;
      return { subject: String(json.scheduler), tolerance, errors: await runSchedulerCase(folder) };
    }
    default:
      throw new InputError(`Its "kind" is ${JSON.stringify(json.kind)}; "network" and "scheduler" are known.`);
  }
}

export function withinTolerance({ relL2 }: OutputError, tolerance: number): boolean {
  return relL2 <= tolerance;
}

/** For tests: the case, as far as it is about a network. */
export async function openNetworkCase(folder: string): Promise<NetworkCase> {
  return readNetworkCase(await readCaseJson(folder));
}

function toleranceOf(json: Record<string, unknown>): number | undefined {
  const tolerance = json.tolerance as { relL2?: unknown } | undefined;
  return typeof tolerance?.relL2 === 'number' ? tolerance.relL2 : undefined;
}
