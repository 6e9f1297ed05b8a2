/**
 * Runs one parity case of the kind `network`: a network with the weights and inputs of the case, for the outputs that the
 * reference left. `darkroom parity --help` tells the format.
 */
import { join } from 'node:path';
import { InputError } from '../base/errors.ts';
import type { Settings } from '../base/settings.ts';
import type { Tensor } from '../math/tensor.ts';
import { openSession } from '../runtime/session.ts';
import { readConfig } from '../weights/network-files.ts';
import { annotatorNetworks } from './annotator-networks.ts';
import { readTensors } from './case-tensors.ts';
import { encoderNetworks } from './encoder-networks.ts';
import type { BuiltNetwork, CaseFiles, CaseNetwork, Tensors } from './network.ts';
import { unetNetworks } from './unet-networks.ts';

export interface NetworkCase {
  network: string;
  /** Absent where the reference has none. */
  config: string | undefined;
  weights: readonly string[];
  inputs: string;
  expected: string;
  options: Readonly<Record<string, unknown>>;
  tolerance: { relL2: number };
}

export interface CaseResult {
  actual: Tensors;
  expected: Tensors;
}

/** Where a case does not say. */
const usualTolerance = 1e-4;

const networks: Readonly<Record<string, CaseNetwork>> = { ...encoderNetworks, ...unetNetworks, ...annotatorNetworks };

export async function runNetworkCase(
  folder: string,
  found: NetworkCase,
  { device }: { device: Settings['device'] },
): Promise<CaseResult> {
  const network = Object.hasOwn(networks, found.network) ? networks[found.network] : undefined;
  if (!network) {
    const known = Object.keys(networks).join(', ');
    throw new InputError(`It is about a network "${found.network}"; there are ${known}.`);
  }
  const expected = await readTensors(join(folder, found.expected));
  const inputs = await readTensors(join(folder, found.inputs));
  const files: CaseFiles = {
    config: found.config === undefined ? undefined : await readConfig(join(folder, found.config)),
    weights: found.weights.map((file) => join(folder, file)),
    pathOf: (file) => join(folder, file),
    options: found.options,
    inputs,
    outputs: Object.keys(expected),
  };
  const actual = await run(await network(files), inputs, device);
  for (const [name, tensor] of Object.entries(expected)) checkShape(name, actual[name], tensor);
  return { actual, expected };
}

async function run({ model, feeds, finish }: BuiltNetwork, inputs: Tensors, device: Settings['device']) {
  const session = await openSession(model, device);
  try {
    const results = await session.run(feeds ?? inputs);
    return finish?.(results) ?? results;
  } finally {
    await session.close();
  }
}

function checkShape(name: string, actual: Tensor | undefined, expected: Tensor): void {
  if (!actual) throw new InputError(`It expects an output "${name}", which the network does not have.`);
  if (actual.dims.join() !== expected.dims.join()) {
    throw new InputError(
      `It expects "${name}" as [${expected.dims.join(', ')}]; the network returns [${actual.dims.join(', ')}].`,
    );
  }
}

/** @throws InputError naming the entry that is missing or of another kind than the format says */
export function readNetworkCase(json: Readonly<Record<string, unknown>>): NetworkCase {
  const { config, options = {}, tolerance = { relL2: usualTolerance } } = json;
  const weights = typeof json.weights === 'string' ? [json.weights] : json.weights;
  const text = (key: string): string => {
    if (typeof json[key] !== 'string')
      throw new InputError(`Its "${key}" is ${JSON.stringify(json[key])}, not a text.`);
    return json[key];
  };
  if (!Array.isArray(weights) || weights.length === 0 || !weights.every((file) => typeof file === 'string')) {
    throw new InputError('Its "weights" is not a list of files.');
  }
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new InputError('Its "options" is not an object.');
  }
  const relL2 = (tolerance as { relL2?: unknown } | null)?.relL2;
  if (typeof relL2 !== 'number' || !(relL2 > 0)) throw new InputError('Its "tolerance" is not {"relL2": a number}.');
  return {
    network: text('network'),
    config: config === undefined ? undefined : text('config'),
    weights,
    inputs: text('inputs'),
    expected: text('expected'),
    options: options as Record<string, unknown>,
    tolerance: { relL2 },
  };
}
