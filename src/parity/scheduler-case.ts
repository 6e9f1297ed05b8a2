/**
 * Runs one parity case of the kind `scheduler`: a sampler with prepared network outputs and noise, against what the
 * reference made of them. A case is a folder; its format is told by `darkroom parity --help`.
 */
import { isAbsolute, join, relative } from 'node:path';
import { InputError } from '../base/errors.ts';
import type { Tensor } from '../math/tensor.ts';
import { samplerFromConfig } from '../schedulers/from-config.ts';
import { readTensor } from '../weights/read-tensor.ts';
import { readSafetensors } from '../weights/safetensors.ts';
import { isRecord, readCaseJson } from './case-json.ts';
import { distance, type OutputError } from './compare.ts';

interface SchedulerCase {
  scheduler: string;
  config: Record<string, unknown>;
  steps: number;
  inputs: string;
  expected: string;
  options: { eta?: number; perCall?: boolean };
}

type Tensors = ReadonlyMap<string, Float32Array>;

/** @throws InputError naming what is wrong with the case or what it asks for; WeightError naming a damaged file */
export async function runSchedulerCase(folder: string): Promise<OutputError[]> {
  const found = readCase(await readCaseJson(folder), folder);
  const inputs = await readTensors(folder, found.inputs);
  const expected = await readTensors(folder, found.expected);
  const actual = await runSampler(found, inputs);
  return [...expected].map(([output, values]) => {
    const made = actual.get(output);
    if (!made) throw fault(folder, `a scheduler case cannot expect the tensor "${output}"`);
    if (made.length !== values.length) {
      throw fault(folder, `"${output}" has ${values.length} values where ${made.length} came out`);
    }
    return { output, ...distance(made, values) };
  });
}

async function runSampler(found: SchedulerCase, inputs: Tensors): Promise<Tensors> {
  const sampler = samplerFromConfig(found.scheduler, found.config, {
    steps: found.steps,
    ...(found.options.eta === undefined ? {} : { eta: found.options.eta }),
  });
  const start = tensorOf(inputs, 'sample');
  const outputs = slices(tensorOf(inputs, 'model_outputs'), start.length);
  const noise = slices(inputs.get('noise') ?? new Float32Array(), start.length);
  // Releases differ in whether Euler draws the noise that it has no use for.
  if (found.scheduler === 'EulerDiscreteScheduler') noise.push(...outputs.slice(noise.length));
  const timesteps: number[] = [];
  const perCall: Float32Array[] = [];
  const perStep: Float32Array[] = [];
  let draws = 0;

  const result = await sampler.sample({
    latents: start,
    async denoise(_, timestep, call, latents) {
      timesteps.push(timestep);
      if (call > 0) perCall.push(latents);
      return outputs[call] ?? missing('model_outputs', call);
    },
    drawNoise: () => noise[draws++] ?? missing('noise', draws - 1),
    onStep(step, _, latents) {
      if (step > 0) perStep.push(latents);
    },
    signal: { throwIfAborted: () => {} },
  });
  perCall.push(result);
  if (timesteps.length !== outputs.length) {
    throw new InputError(`"model_outputs" holds ${outputs.length} calls; the sampler made ${timesteps.length}.`);
  }
  return new Map([
    ['timesteps', Float32Array.from(timesteps)],
    ['samples', joined(found.options.perCall ? perCall : perStep)],
    ['samples_full', joined(perStep)],
  ]);
}

function missing(name: string, index: number): never {
  throw new InputError(`The sampler asked for entry ${index} of "${name}", which the case does not hold.`);
}

function readCase(json: Record<string, unknown>, folder: string): SchedulerCase {
  const { kind, scheduler, config, steps, inputs, expected, options = {} } = json;
  if (kind !== 'scheduler') throw fault(folder, `its kind is ${JSON.stringify(kind)}, not "scheduler"`);
  if (typeof scheduler !== 'string') throw fault(folder, '"scheduler" must be the name of a diffusers class');
  if (!isRecord(config)) throw fault(folder, '"config" must be an object');
  if (typeof steps !== 'number') throw fault(folder, '"steps" must be a number');
  if (typeof inputs !== 'string' || typeof expected !== 'string') {
    throw fault(folder, '"inputs" and "expected" must be names of files');
  }
  if (!isRecord(options)) throw fault(folder, '"options" must be an object');
  const { eta, perCall, ...others } = options;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw fault(folder, `the option "${unknown}" is not known; "eta" and "perCall" are`);
  if (eta !== undefined && typeof eta !== 'number') throw fault(folder, '"eta" must be a number');
  if (perCall !== undefined && typeof perCall !== 'boolean') throw fault(folder, '"perCall" must be true or false');
  return {
    scheduler,
    config,
    steps,
    inputs,
    expected,
    options: { ...(eta === undefined ? {} : { eta }), ...(perCall === undefined ? {} : { perCall }) },
  };
}

async function readTensors(folder: string, file: string): Promise<Tensors> {
  const path = relative(folder, join(folder, file));
  if (isAbsolute(file) || path.startsWith('..')) throw fault(folder, `the file "${file}" lies outside of it`);
  const { tensors } = await readSafetensors(join(folder, path));
  const read = [...tensors].map(async ([name, reference]) => [name, asFloats(await readTensor(reference))] as const);
  return new Map(await Promise.all(read));
}

function asFloats({ data }: Tensor): Float32Array {
  return data instanceof Float32Array ? data : Float32Array.from(data, Number);
}

function tensorOf(tensors: Tensors, name: string): Float32Array {
  const found = tensors.get(name);
  if (!found) throw new InputError(`The inputs of the case lack the tensor "${name}".`);
  return found;
}

function slices(values: Float32Array, length: number): Float32Array[] {
  if (values.length % length !== 0) {
    throw new InputError(`A tensor of ${values.length} values cannot be cut into pieces like "sample", of ${length}.`);
  }
  return Array.from({ length: values.length / length }, (_, index) =>
    values.subarray(index * length, (index + 1) * length),
  );
}

function joined(parts: readonly Float32Array[]): Float32Array {
  return Float32Array.from(parts.flatMap((part) => [...part]));
}

function fault(folder: string, what: string): InputError {
  return new InputError(`The case "${folder}" cannot be run: ${what}.`);
}
