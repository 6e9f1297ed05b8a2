import type { Settings } from '../base/settings.ts';
import { float32 } from '../math/tensor.ts';
import { createGraph } from '../onnx/graph.ts';
import { add } from '../onnx/ops.ts';
import { writeModel } from '../onnx/write.ts';
import { openSession } from './session.ts';

/** Whether a network of one addition runs on the device: whether ONNX Runtime knows it, its libraries load and it is there. */
export async function runsOn(device: string): Promise<boolean> {
  const graph = createGraph('sum');
  graph.output('sum', add(graph, graph.input('a', 'float32', [2]), graph.input('b', 'float32', [2])));
  try {
    const session = await openSession(writeModel(graph), device as Settings['device']);
    const { sum } = await session.run({
      a: float32([2], Float32Array.of(1, 2)),
      b: float32([2], Float32Array.of(3, 4)),
    });
    await session.close();
    return sum?.data[0] === 4 && sum.data[1] === 6;
  } catch {
    return false;
  }
}
