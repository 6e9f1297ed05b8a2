/** Networks of the mini set that are published as an `.onnx` file alone. */
import { createGraph, type Graph } from '../onnx/graph.ts';
import { type MiniFile, writeWhole } from './mini-file.ts';
import { inventWeights, type Spread } from './random-weights.ts';
import type { Weights } from './scope.ts';
import { wholeModel } from './write-onnx.ts';

export interface MiniOnnxNetwork {
  /** Sizes and options; part of the recipe. */
  config: unknown;
  build(weights: Weights): Graph;
  /** For tensors that `inventWeights` would spread unsuitably. */
  spread(name: string): Spread | undefined;
  openAxes?: Readonly<Record<string, readonly number[]>>;
}

/** A network whose weights are made up. */
export function onnxFile(path: string, { config, build, spread, openAxes }: MiniOnnxNetwork): MiniFile {
  return {
    path,
    recipe: config,
    async write(destination, seed) {
      const { weights, tensors } = inventWeights(spread);
      const graph = build(weights);
      await writeWhole(destination, wholeModel(graph, tensors(seed), openAxes));
    },
  };
}

/** By name; all of float32. */
interface Shapes {
  inputs: Readonly<Record<string, readonly number[]>>;
  outputs: Readonly<Record<string, readonly number[]>>;
}

/** A network that returns zeros: it finds nothing, as every finding of an untrained one would be false. */
export function blindFile(path: string, shapes: Shapes): MiniFile {
  const write = (destination: string) => writeWhole(destination, wholeModel(blindGraph(shapes), new Map()));
  return { path, recipe: shapes, write };
}

function blindGraph({ inputs, outputs }: Shapes): Graph {
  const g = createGraph('blind');
  for (const [name, dims] of Object.entries(inputs)) g.input(name, 'float32', dims);
  for (const [name, dims] of Object.entries(outputs)) {
    const shape = g.constant({ type: 'int64', dims: [dims.length], data: BigInt64Array.from(dims, BigInt) });
    g.output(name, g.node('ConstantOfShape', [shape], { dims, type: 'float32' }));
  }
  return g;
}
