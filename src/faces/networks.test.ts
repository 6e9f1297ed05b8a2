/** The detector and the embedder layer by layer, against the same networks in PyTorch, and their published sizes. */
import { expect, test } from 'vitest';
import { expectClose } from '../../test/support/expect-close.ts';
import { facePath } from '../../test/support/face-fixtures.ts';
import { float32, sizeOf, type Tensor } from '../math/tensor.ts';
import { onnxFileNetwork } from '../networks/onnx-file-network.ts';
import type { Graph } from '../onnx/graph.ts';
import type { OnnxModel } from '../onnx/model.ts';
import { writeModel } from '../onnx/write.ts';
import { openSession } from '../runtime/session.ts';
import { inventWeights } from '../weights/random-weights.ts';
import { openWeights, type Weights } from '../weights/scope.ts';
import { antelopev2, detectorFile, embedderFile } from './antelopev2.ts';
import { arcface100, arcfaceGraph } from './arcface-network.ts';
import { detectorOutputs } from './read-faces.ts';
import { scrfd10g, scrfdGraph, scrfdOutputs } from './scrfd-network.ts';

async function run(model: OnnxModel, input: Tensor): Promise<Float32Array[]> {
  const session = await openSession(model, 'cpu');
  try {
    const values = await session.run({ [model.inputs[0]!.name]: input });
    return model.outputs.map(({ name }) => values[name]!.data as Float32Array);
  } finally {
    await session.close();
  }
}

function noise(dims: readonly number[]): Tensor<'float32'> {
  return float32(
    dims,
    Float32Array.from({ length: sizeOf(dims) }, (_, index) => Math.sin(index * 1.7) * Math.cos(index * 0.013)),
  );
}

test.each([64, 192])('the detector computes what PyTorch exported, at %i', async (side) => {
  const stages = [6, 6, 8, 8].map((channels, stage) => ({ channels, blocks: stage === 1 ? 2 : 1 }));
  const config = { stem: 6, stages, neck: 6, head: { channels: 8, layers: 2 } };
  const weights = await openWeights([facePath('scrfd.safetensors')]);
  const own = writeModel(scrfdGraph(config, weights, side));
  weights.finish();
  const input = noise([1, 3, side, side]);
  const path = facePath(`antelopev2/${detectorFile}`);
  const exported = onnxFileNetwork(path, { inputs: [input.dims], outputs: detectorOutputs(side) });
  const expected = await run(await exported.build(), input);
  for (const [index, values] of (await run(own, input)).entries()) {
    // Measured: 0. Another machine may add up in another order.
    expectClose(values, expected[index]!, { relL2: 2e-6 });
  }
});

test('the embedder computes what PyTorch exported', async () => {
  const stages = [6, 6, 4, 2].map((channels, stage) => ({ channels, blocks: stage === 1 ? 2 : 1 }));
  const weights = await openWeights([facePath('arcface.safetensors')]);
  const own = writeModel(arcfaceGraph({ stem: 6, stages, embedding: 512 }, weights));
  weights.finish();
  const input = noise([1, 3, 112, 112]);
  const path = facePath(`antelopev2/${embedderFile}`);
  const exported = await onnxFileNetwork(path, { inputs: [input.dims], outputs: [[1, 512]] }).build();
  const [expected] = await run(exported, input);
  // Measured: 0.
  expectClose((await run(own, input))[0]!, expected!, { relL2: 2e-6 });
});

test('the detector names its results as the published file does', async () => {
  const path = facePath(`antelopev2/${detectorFile}`);
  const network = onnxFileNetwork(path, { inputs: [[1, 3, 640, 640]], outputs: detectorOutputs(640) });
  const { inputs, outputs } = await network.build();
  expect(inputs.map(({ name }) => name)).toEqual(['input.1']);
  expect(outputs.map(({ name }) => name)).toEqual(scrfdOutputs);
  expect(outputs.map(({ dims }) => dims)).toEqual([
    [12800, 1],
    [3200, 1],
    [800, 1],
    [12800, 4],
    [3200, 4],
    [800, 4],
    [12800, 10],
    [3200, 10],
    [800, 10],
  ]);
});

/** Bytes of the weights in an exported file, where each norm that follows a convolution has become a part of it. */
function exportedBytes(build: (weights: Weights) => Graph, isFolded: (layer: string) => boolean): number {
  const { weights, tensors } = inventWeights();
  build(weights);
  let values = 0;
  for (const [name, { shape }] of tensors('')) {
    const [layer, part] = [name.slice(0, name.lastIndexOf('.')), name.slice(name.lastIndexOf('.') + 1)];
    if (!isFolded(layer) || part === 'bias') values += sizeOf(shape);
  }
  return 4 * values;
}

function publishedBytes(file: string): number {
  return antelopev2.files.flatMap((entry) =>
    typeof entry === 'object' && entry.path === file ? entry.bytes! : [],
  )[0]!;
}

test('at full size the published files have room for the weights, and for what describes 100 layers', () => {
  const detector = exportedBytes(
    (weights) => scrfdGraph(scrfd10g, weights, 640),
    (layer) => /(\.bn\d?|\.stem\.[147]|\.downsample\.2)$/.test(layer),
  );
  expect(publishedBytes(detectorFile) - detector).toBe(20_079);
  // Of its norms those before a convolution stay.
  const embedder = exportedBytes(
    (weights) => arcfaceGraph(arcface100, weights),
    (layer) => /^bn1$|\.bn[23]$|\.downsample\.1$/.test(layer),
  );
  expect(publishedBytes(embedderFile) - embedder).toBe(40_182);
});
