import type { Graph } from './graph.ts';

/** What a network takes of memory, bytes. */
export interface MemoryNeed {
  /** Of its weight files. */
  weights: number;
  /** While it runs, at the most, as far as the graph tells; kernels take a little more for themselves. */
  working: number;
}

export function memoryNeed(graph: Graph): MemoryNeed {
  return { weights: weightBytes(graph), working: peakOfValues(graph) };
}

function weightBytes({ initializers }: Graph): number {
  const places = new Map<string, number>();
  for (const { content } of initializers) {
    if (!(content instanceof Uint8Array)) places.set(`${content.offset} ${content.file}`, content.byteLength);
  }
  return [...places.values()].reduce((sum, bytes) => sum + bytes, 0);
}

/** The nodes run in their order, and a value is let go after its last use. */
function peakOfValues({ nodes, outputs }: Graph): number {
  const fused = nodes.filter(({ way }) => way !== 'basic');
  /** The value that another one is a view of: a reshaped value lives as long as what it is made of. */
  const stored = new Map<string, string>();
  const root = (name: string): string => stored.get(name) ?? name;
  const lastUse = new Map<string, number>();
  for (const [index, { inputs, output, bytes }] of fused.entries()) {
    if (bytes === 0) stored.set(output, root(inputs[0]!));
    for (const name of inputs) lastUse.set(root(name), index);
  }
  for (const { value } of outputs) lastUse.set(root(value.name), fused.length);

  const alive = new Map<string, number>();
  let [now, peak] = [0, 0];
  for (const [index, { inputs, output, bytes }] of fused.entries()) {
    alive.set(output, bytes);
    now += bytes;
    peak = Math.max(peak, now);
    for (const name of new Set(inputs.map(root))) {
      if (lastUse.get(name) === index) {
        now -= alive.get(name) ?? 0;
        alive.delete(name);
      }
    }
  }
  return peak;
}
