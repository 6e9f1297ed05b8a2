/**
 * Hides the sizes of values from ONNX Runtime's planner. Where it knows them it plans, when it loads a network, which
 * value takes over the memory of which earlier one of the same size, and what is planned for is kept from the first use
 * to the last: a UNet holds what each of its resolutions needs at the same time. Of values without known sizes each is
 * let go after its last use, which takes a third of the memory and no longer (docs/performance.md).
 *
 * Sizes become unknown where a value is reshaped to what is only computed in the run: the known shape plus an input that
 * the runtime feeds with zero.
 */
import type { Graph } from './graph.ts';
import type { ValueInfo } from './model.ts';

/** What has to be fed with a zero, where a network has it. */
export const zeroInput: ValueInfo = { name: 'zero/sizes', type: 'int64', dims: [1] };

/** A node as it is written. */
type Written = Pick<Graph['nodes'][number], 'name' | 'op' | 'domain' | 'inputs' | 'output' | 'attributes'>;

/** @returns the same network, and the input that it now has beside the graph's, if any */
export function hideSizes(
  { initializers }: Pick<Graph, 'initializers'>,
  nodes: readonly Written[],
): { nodes: Written[]; inputs: ValueInfo[] } {
  const known = new Set(['', ...initializers.map(({ name }) => name)]);
  const shapes = new Map<string, Written>();
  const changed = nodes.map((node) => {
    const isKnown = node.inputs.every((name) => known.has(name));
    // A weight is reshaped once, when the network is loaded.
    if (isKnown) known.add(node.output);
    if (isKnown || node.op !== 'Reshape') return node;
    const [value, shape] = node.inputs as [string, string];
    const hidden = `${shape}/hidden`;
    const inputs = [shape, zeroInput.name];
    shapes.set(hidden, { name: hidden, op: 'Add', domain: '', inputs, output: hidden, attributes: {} });
    return { ...node, inputs: [value, hidden] };
  });
  return { nodes: [...shapes.values(), ...changed], inputs: shapes.size > 0 ? [zeroInput] : [] };
}
