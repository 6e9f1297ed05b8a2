/** The manifest of SDXL base 1.0 against the recorded headers of its files. */
import { expect, test } from 'vitest';
import { type Header, headerBytes, recordedHeader, weightsOfHeader } from '../../test/support/recorded-header.ts';
import { clipTextConfig } from '../networks/clip-config.ts';
import { clipTextModel } from '../networks/clip-text.ts';
import { unetModel } from '../networks/unet.ts';
import { unetConfig } from '../networks/unet-config.ts';
import { vaeDecoderConfig, vaeEncoderConfig } from '../networks/vae-config.ts';
import { vaeDecoderModel } from '../networks/vae-decoder.ts';
import { vaeEncoderModel } from '../networks/vae-encoder.ts';
import { weightFiles } from '../weights/inventory.ts';
import type { NetworkWeights } from '../weights/scope.ts';
import { albedoBaseXl13, realVisXl3, stableDiffusionXl } from './stable-diffusion-xl-files.ts';

const base = stableDiffusionXl['stable-diffusion-xl-base-1.0'];

/** Files written by later versions of the reference do not carry the numbers 0 to 76 along. */
function withoutPositions(header: Header): Header {
  return Object.fromEntries(Object.entries(header).filter(([name]) => !name.endsWith('position_ids')));
}

/** How each file is used at the size of instant-id's pictures. */
const networks: Record<string, { header: Header; build(weights: NetworkWeights): void }> = {
  'unet/diffusion_pytorch_model.safetensors': {
    header: recordedHeader('sdxl-unet'),
    build(weights) {
      const options = {
        attention_head_dim: [5, 10, 20],
        addition_embed_type: 'text_time',
        addition_time_embed_dim: 256,
      };
      const shape = { batch: 1, height: 160, width: 120, textLength: 77 };
      expect(
        unetModel({ config: unetConfig(options, weights), weights }, shape).inputs.map(({ dims }) => dims),
      ).toEqual([[1, 4, 160, 120], [1], [1, 77, 2048], [1, 1280], [1, 6]]);
    },
  },
  'vae/diffusion_pytorch_model.safetensors': {
    header: recordedHeader('sdxl-vae'),
    build(weights) {
      const options = { force_upcast: true, scaling_factor: 0.13025 };
      vaeEncoderModel({ config: vaeEncoderConfig(options, weights), weights }, { batch: 1, height: 1280, width: 960 });
    },
  },
  'text_encoder/model.safetensors': {
    header: withoutPositions(recordedHeader('sd15-text-encoder')),
    build(weights) {
      const config = clipTextConfig({ num_attention_heads: 12, hidden_act: 'quick_gelu', eos_token_id: 2 }, weights);
      const [states] = clipTextModel({ config, weights }, { batch: 2, length: 77 }, ['hidden_states.-2']).outputs;
      expect(states!.dims).toEqual([2, 77, 768]);
    },
  },
  'text_encoder_2/model.safetensors': {
    header: recordedHeader('sdxl-text-encoder-2'),
    build(weights) {
      const config = clipTextConfig({ num_attention_heads: 20, hidden_act: 'gelu', eos_token_id: 2 }, weights);
      const outputs = ['hidden_states.-2', 'text_embeds'] as const;
      const made = clipTextModel({ config, weights }, { batch: 2, length: 77 }, outputs).outputs;
      expect(made.map(({ dims }) => dims)).toEqual([
        [2, 77, 1280],
        [2, 1280],
      ]);
    },
  },
};

const listed = weightFiles(base).filter(({ path }) => path.endsWith('.safetensors'));

test('every weight file of the list is one that a network takes', () => {
  expect(listed.map(({ path }) => path).toSorted()).toEqual(Object.keys(networks).toSorted());
});

test.each(listed)('$path: names and shapes fit the network, and the size fits them', ({ path, bytes }) => {
  const { header, build } = networks[path]!;
  build(weightsOfHeader(header, path));
  // What is beyond the values describes them: name, type, shape and place of each.
  const perTensor = (bytes! - headerBytes(header)) / Object.keys(header).length;
  expect(perTensor).toBeGreaterThan(100);
  expect(perTensor).toBeLessThan(150);
});

test("the autoencoder's decoder takes the rest of its file", () => {
  const weights = weightsOfHeader(recordedHeader('sdxl-vae'), 'vae');
  const model = vaeDecoderModel(
    { config: vaeDecoderConfig({}, weights), weights },
    { batch: 1, height: 160, width: 120 },
  );
  expect(model.outputs[0]!.dims).toEqual([1, 3, 1280, 960]);
});

test('every base has the same parts', () => {
  const parts = (repository: typeof base) =>
    weightFiles(repository).map(({ path }) => path.replace(/[^/]*\.(safetensors|bin)$/, 'weights'));
  for (const other of [...Object.values(stableDiffusionXl), realVisXl3]) expect(parts(other)).toEqual(parts(base));
  expect(stableDiffusionXl['albedobase-xl-v13']).toBe(albedoBaseXl13);
});
