import { InputError } from '../base/errors.ts';
import type { Tensor } from '../math/tensor.ts';
import type { OnnxModel } from '../onnx/model.ts';

export type Tensors = Readonly<Record<string, Tensor>>;

/** What a case says about its network. */
export interface CaseFiles {
  /** The parsed `config.json`; `undefined` where the case has none. */
  config: unknown;
  weights: readonly string[];
  /** Of a file that the options name. */
  pathOf(file: string): string;
  options: Readonly<Record<string, unknown>>;
  inputs: Tensors;
  /** Names of the outputs that are expected. */
  outputs: readonly string[];
}

export interface BuiltNetwork {
  model: OnnxModel;
  /** What the model is fed, where that is not the inputs as they are. */
  feeds?: Tensors;
  /** What follows the model in the reference. */
  finish?(results: Tensors): Tensors;
}

/** Builds a kind of network for a case. */
export type CaseNetwork = (files: CaseFiles) => Promise<BuiltNetwork>;

/** The shape of an input. @throws InputError when there is none, or it has another number of axes */
export function inputDims(inputs: Tensors, name: string, axes: number): number[] {
  const tensor = inputs[name];
  if (!tensor) throw new InputError(`Its inputs lack "${name}"; there are ${Object.keys(inputs).join(', ')}.`);
  if (tensor.dims.length !== axes) {
    throw new InputError(`Its input "${name}" has the shape [${tensor.dims.join(', ')}], not ${axes} axes.`);
  }
  return [...tensor.dims];
}

/** @throws InputError naming the options that this network does not have */
export function refuseOptions({ options }: CaseFiles, known: readonly string[]): void {
  const unknown = Object.keys(options).filter((key) => !known.includes(key));
  if (unknown.length === 0) return;
  const which = known.length === 0 ? 'this network has none' : `this network has ${known.join(', ')}`;
  throw new InputError(`Its options name ${unknown.join(', ')}; ${which}.`);
}
