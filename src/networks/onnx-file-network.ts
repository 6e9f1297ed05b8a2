/**
 * A network that is published as an `.onnx` file and runs as it is. What the file says of itself is compared with what
 * its user expects before it is loaded, and the shapes of its results again when it runs.
 */
import { basename } from 'node:path';
import { WeightError } from '../base/errors.ts';
import { anySize, type Network, type ValueInfo } from '../onnx/model.ts';
import { type OnnxFile, type OpenValue, readOnnxFile } from '../weights/onnx-file.ts';

/** All of float32. Where a dimension is `anySize`, one loaded network takes all sizes; the file has to leave it open. */
export interface OnnxFileShapes {
  inputs: Shapes;
  outputs: Shapes;
}

/** By name; or all of them in the order of the file, where names say nothing: the session then tells them. */
type Shapes = Readonly<Record<string, readonly number[]>> | readonly (readonly number[])[];

type Named = readonly (readonly [name: string, dims: readonly number[]])[];

/**
 * Where the file leaves a dimension open, such as the size of a batch, the shapes here settle it.
 *
 * @throws WeightError when it is loaded, and the file is damaged or has other inputs or outputs
 */
export function onnxFileNetwork(path: string, shapes: OnnxFileShapes): Network {
  const sizes = Object.values(shapes.inputs).map((dims) => dims.map(sizeText).join('×'));
  return {
    key: `${basename(path)}, ${sizes.join(', ')}, of ${path}`,
    build: async () => {
      const file = await readOnnxFile(path);
      return file.model(inputsOf(path, file, shapes.inputs), outputsOf(path, file, shapes.outputs));
    },
  };
}

function inputsOf(path: string, { inputs }: OnnxFile, wanted: Shapes): ValueInfo[] {
  const named = namedIn(inputs, wanted);
  const shapes = new Map(named);
  const fits = ({ name, type, dims }: OpenValue): boolean => {
    const given = shapes.get(name);
    if (type !== 'float32' || !given) return false;
    if (dims === undefined) return true;
    return dims.length === given.length && dims.every((dim, axis) => dim === undefined || dim === given[axis]);
  };
  if (named.length !== inputs.length || !inputs.every(fits)) throw unfit(path, 'inputs', inputs, named);
  return inputs.map(({ name }) => ({ name, type: 'float32', dims: shapes.get(name)! }));
}

/** Of the stated shapes, which may be those of the example that the file was made with, only the count of axes counts. */
function outputsOf(path: string, { outputs }: OnnxFile, wanted: Shapes): ValueInfo[] {
  const named = namedIn(outputs, wanted);
  const fits = ([name, dims]: Named[number]): boolean => {
    const output = outputs.find((candidate) => candidate.name === name);
    return output?.type === 'float32' && (output.dims === undefined || output.dims.length === dims.length);
  };
  const isAll = !Array.isArray(wanted) || wanted.length === outputs.length;
  if (!isAll || !named.every(fits)) throw unfit(path, 'outputs', outputs, named);
  return named.map(([name, dims]) => ({ name, type: 'float32', dims }));
}

function namedIn(values: readonly OpenValue[], wanted: Shapes): Named {
  if (!Array.isArray(wanted)) return Object.entries(wanted);
  return wanted.map((dims, index) => [values[index]?.name ?? `(${index + 1})`, dims]);
}

function unfit(path: string, what: 'inputs' | 'outputs', found: readonly OpenValue[], wanted: Named): WeightError {
  const shape = (dims: readonly (number | undefined)[]): string => `[${dims.map(sizeText).join(', ')}]`;
  const has = found.map(({ name, type, dims }) => `${name} ${type} ${dims ? shape(dims) : 'of any shape'}`);
  const needs = wanted.map(([name, dims]) => `${name} float32 ${shape(dims)}`);
  return new WeightError(
    `The weight file ${path} holds another network. Its ${what}: ${has.join(', ') || 'none'}. ` +
      `Needed: ${needs.join(', ')}. Check that it is the file that the model names.`,
  );
}

function sizeText(size: number | undefined): string {
  return size === undefined || size === anySize ? '?' : String(size);
}
