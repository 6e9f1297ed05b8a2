import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { expectClose } from '../../test/support/expect-close.ts';
import { float32, type Tensor } from '../math/tensor.ts';
import { vaeDecoderConfig } from '../networks/vae-config.ts';
import { vaeDecoderModel } from '../networks/vae-decoder.ts';
import { readTensors } from '../parity/case-tensors.ts';
import { openSession } from '../runtime/session.ts';
import { readConfig } from '../weights/network-files.ts';
import { openWeights } from '../weights/scope.ts';
import { decodeTiled, needsTiles } from './tiled-decode.ts';

const fixtures = new URL('../../test/fixtures/', import.meta.url);
const tiling = { tile: 8, factor: 8 };

test('tiles are cut, decoded and blended as diffusers does', async () => {
  const { latents, sample } = await readTensors(fileURLToPath(new URL('tiled-decode/tiles.safetensors', fixtures)));
  const network = fileURLToPath(new URL('networks/vae-decoder/', fixtures));
  const sizes: string[] = [];
  const decode = async (part: Tensor<'float32'>): Promise<Tensor<'float32'>> => {
    const [batch, , height, width] = part.dims as [number, number, number, number];
    sizes.push(`${width}×${height}`);
    const weights = await openWeights([`${network}weights.safetensors`]);
    const config = vaeDecoderConfig(await readConfig(`${network}config.json`), weights);
    const session = await openSession(vaeDecoderModel({ config, weights }, { batch, height, width }), 'cpu');
    try {
      return (await session.run({ latents: part })).sample as Tensor<'float32'>;
    } finally {
      await session.close();
    }
  };
  const decoded = await decodeTiled(latents as Tensor<'float32'>, tiling, decode);
  expect(decoded.dims).toEqual(sample!.dims);
  // Measured 2.0e-6; a whole decode of this random network is 0.7 away.
  expectClose(decoded.data, sample!.data as Float32Array, { relL2: 1e-5 });
  expect([...new Set(sizes)]).toEqual(['8×8', '3×8', '8×7', '3×7', '8×1', '3×1']);
});

test('a tile that has no quarter is refused', async () => {
  const latents = float32([1, 4, 8, 8]);
  await expect(decodeTiled(latents, { tile: 6, factor: 8 }, () => Promise.reject())).rejects.toThrow(/quarter/);
});

test('only latents larger than a tile on some side need tiles', () => {
  const needs = (height: number, width: number) => needsTiles(float32([1, 4, height, width]), tiling);
  expect([needs(8, 8), needs(1, 8), needs(9, 8), needs(8, 9)]).toEqual([false, false, true, true]);
});
