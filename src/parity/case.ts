/**
 * Parity cases: folders that hold what a reference implementation computed, and what it was given, so that anybody can
 * check a number of Darkroom's. `darkroom parity --help` tells the format.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError } from '../base/errors.ts';
import type { Settings } from '../base/settings.ts';
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

/** What is expected of a sampler where its case does not say; a network's case always does. */
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

async function readCaseJson(folder: string): Promise<Record<string, unknown>> {
  const text = await readFile(join(folder, 'case.json'), 'utf8').catch((error: NodeJS.ErrnoException) => {
    const reason = error.code === 'ENOENT' ? 'there is no case.json in it' : `case.json cannot be read (${error.code})`;
    throw new InputError(`It is no case: ${reason}.`);
  });
  return parsePythonJson(text);
}

/** Python writes infinities as bare words, and the configuration of a scheduler may hold one. */
function parsePythonJson(text: string): Record<string, unknown> {
  const quoted = text.replace(/"(?:[^"\\]|\\.)*"|Infinity/g, (found) => (found === 'Infinity' ? '1e999' : found));
  let json: unknown;
  try {
    json = JSON.parse(quoted);
  } catch (error) {
    throw new InputError(`Its case.json is not JSON: ${(error as Error).message}.`);
  }
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json as Record<string, unknown>;
  throw new InputError('Its case.json does not hold an object.');
}

function toleranceOf(json: Record<string, unknown>): number | undefined {
  const tolerance = json.tolerance as { relL2?: unknown } | undefined;
  return typeof tolerance?.relL2 === 'number' ? tolerance.relL2 : undefined;
}
