import { expect, test } from 'vitest';
import { createGraph } from '../onnx/graph.ts';
import { inventWeights } from '../weights/random-weights.ts';
import { mirrored, type UnetEncoderConfig } from './unet-config.ts';
import { timeEmbedding } from './unet-time.ts';

test("the time embedding's frequencies are rounded as torch rounds them", () => {
  const config: UnetEncoderConfig = {
    inChannels: 4,
    ...mirrored([{ channels: 320, heads: 8, depth: 1 }], 2),
    contextWidth: 768,
    linearProjection: false,
    norm: { groups: 32, epsilon: 1e-5 },
  };
  const g = createGraph('test');
  timeEmbedding(g, inventWeights().weights, config, g.input('timestep', 'float32', [1]), undefined);
  const content = g.initializers.find(({ dims }) => dims.join() === '1,160')!.content as Uint8Array;
  const frequencies = new Float32Array(content.buffer, content.byteOffset, 160);
  // torch 1.13: torch.exp(-math.log(10000) * torch.arange(160.0) / 160). Rounded once, at the end, all but the
  // first of these would be one unit in the last place off.
  const torch = {
    0: 1,
    12: 0.501187264919281,
    13: 0.47315123677253723,
    49: 0.05956621095538139,
    96: 0.00398107198998332,
  };
  for (const [index, value] of Object.entries(torch)) expect(frequencies[Number(index)], index).toBe(value);
});
