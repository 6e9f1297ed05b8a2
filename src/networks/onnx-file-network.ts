/**
 * A network that is published as an `.onnx` file and runs as it is. What the file says of itself is compared with what
 * its user expects before it is loaded, and the shapes of its results again when it runs.
 */
import { basename } from 'node:path';
import { WeightError } from '../base/errors.ts';
import type { Network, ValueInfo } from '../onnx/model.ts';
import { type OnnxFile, type OpenValue, readOnnxFile } from '../weights/onnx-file.ts';

/** All of float32. */
export interface OnnxFileShapes {
  inputs: Readonly<Record<string, readonly number[]>>;
  /** By name; or all of them in the order of the file, where names say nothing: `session.outputs` then tells them. */
  outputs: Readonly<Record<string, readonly number[]>> | readonly (readonly number[])[];
}

type Named = readonly (readonly [name: string, dims: readonly number[]])[];

/**
 * Where the file leaves a dimension open, such as the size of a batch, the shapes here settle it.
 *
 * @throws WeightError when it is loaded, and the file is damaged or has other inputs or outputs
 */
export function onnxFileNetwork(path: string, shapes: OnnxFileShapes): Network {
  const sizes = Object.values(shapes.inputs).map((dims) => dims.join('×'));
  return {
    key: `${basename(path)}, ${sizes.join(', ')}, of ${path}`,
    build: async () => {
      const file = await readOnnxFile(path);
      return file.model(inputsOf(path, file, shapes.inputs), outputsOf(path, file, shapes.outputs));
    },
  };
}

function inputsOf(path: string, { inputs }: OnnxFile, wanted: OnnxFileShapes['inputs']): ValueInfo[] {
  const named = Object.entries(wanted);
  const fits = ({ name, type, dims }: OpenValue): boolean => {
    const given = Object.hasOwn(wanted, name) ? wanted[name]! : undefined;
    if (type !== 'float32' || !given) return false;
    if (dims === undefined) return true;
    return dims.length === given.length && dims.every((dim, axis) => dim === undefined || dim === given[axis]);
  };
  if (named.length !== inputs.length || !inputs.every(fits)) throw unfit(path, 'inputs', inputs, named);
  return inputs.map(({ name }) => ({ name, type: 'float32', dims: wanted[name]! }));
}

/** Of the stated shapes, which may be those of the example that the file was made with, only the count of axes counts. */
function outputsOf(path: string, { outputs }: OnnxFile, wanted: OnnxFileShapes['outputs']): ValueInfo[] {
  const named: Named = Array.isArray(wanted)
    ? wanted.map((dims, index) => [outputs[index]?.name ?? `(${index + 1})`, dims])
    : Object.entries(wanted);
  const fits = ([name, dims]: Named[number]): boolean => {
    const output = outputs.find((candidate) => candidate.name === name);
    return output?.type === 'float32' && (output.dims === undefined || output.dims.length === dims.length);
  };
  const isAll = !Array.isArray(wanted) || wanted.length === outputs.length;
  if (!isAll || !named.every(fits)) throw unfit(path, 'outputs', outputs, named);
  return named.map(([name, dims]) => ({ name, type: 'float32', dims }));
}

function unfit(path: string, what: 'inputs' | 'outputs', found: readonly OpenValue[], wanted: Named): WeightError {
  const shape = (dims: readonly (number | undefined)[]): string => `[${dims.map((dim) => dim ?? '?').join(', ')}]`;
  const has = found.map(({ name, type, dims }) => `${name} ${type} ${dims ? shape(dims) : 'of any shape'}`);
  const needs = wanted.map(([name, dims]) => `${name} float32 ${shape(dims)}`);
  return new WeightError(
    `The weight file ${path} holds another network. Its ${what}: ${has.join(', ') || 'none'}. ` +
      `Needed: ${needs.join(', ')}. Check that it is the file that the model names.`,
  );
}
