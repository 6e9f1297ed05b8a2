/**
 * The graphs of the published encoders, built from what the headers of their files say; no weights are needed. A tensor
 * that the network lacks, does not use, uses twice or expects in another shape fails the build.
 */
import { describe, expect, test } from 'vitest';
import { type Header, recordedHeader, weightsOfHeader } from '../../test/support/recorded-header.ts';
import type { NetworkWeights } from '../weights/scope.ts';
import { clipTextConfig, clipVisionConfig } from './clip-config.ts';
import { clipTextModel } from './clip-text.ts';
import { clipVisionModel } from './clip-vision.ts';
import { photomakerIdConfig, photomakerIdModel } from './photomaker-id.ts';
import { resamplerConfig, resamplerModel } from './resampler.ts';
import { safetyCheckerConfig, safetyCheckerModel } from './safety-checker.ts';
import { vaeDecoderConfig, vaeEncoderConfig } from './vae-config.ts';
import { vaeDecoderModel } from './vae-decoder.ts';
import { vaeEncoderModel } from './vae-encoder.ts';

function recorded(name: string, more: Header = {}): NetworkWeights {
  return weightsOfHeader({ ...recordedHeader(name), ...more }, name);
}

/** The published configurations, as far as shapes do not tell it; the rest is the default. */
const text = { num_attention_heads: 12, hidden_act: 'quick_gelu', eos_token_id: 2 };
const bigText = { num_attention_heads: 20, hidden_act: 'gelu', eos_token_id: 2 };
const vision = { num_attention_heads: 16 };

describe('every tensor of the published file is used once by the graph of', () => {
  test('CLIP L, for Stable Diffusion 1.5 and XL', () => {
    const weights = recorded('sd15-text-encoder');
    const config = clipTextConfig(text, weights);
    expect(config).toMatchObject({ vocabulary: 49408, positions: 77, width: 768, mlpWidth: 3072, layers: 12 });
    const model = clipTextModel({ config, weights }, { batch: 2, length: 77 }, ['last_hidden_state']);
    expect(model.outputs).toEqual([{ name: 'last_hidden_state', type: 'float32', dims: [2, 77, 768] }]);
    clipTextModel({ config, weights: recorded('sd15-text-encoder') }, { batch: 2, length: 77 }, ['hidden_states.-2']);
  });

  test('CLIP bigG', () => {
    const weights = recorded('sdxl-text-encoder-2');
    const config = clipTextConfig(bigText, weights);
    expect(config).toMatchObject({ width: 1280, mlpWidth: 5120, layers: 32, pooledToken: 'largest' });
    const model = clipTextModel({ config, weights }, { batch: 2, length: 77 }, ['hidden_states.-2', 'text_embeds']);
    expect(model.outputs).toEqual([
      { name: 'hidden_states.-2', type: 'float32', dims: [2, 77, 1280] },
      { name: 'text_embeds', type: 'float32', dims: [2, 1280] },
    ]);
    expect(model.bytes.byteLength).toBeLessThan(300_000);
  });

  test("CLIP L's vision encoder", () => {
    const weights = recorded('clip-vision-large');
    const config = clipVisionConfig(vision, weights, 'vision_model');
    expect(config).toMatchObject({ width: 1024, layers: 24, grid: 16, patch: 14, projectionWidth: 768 });
    const model = clipVisionModel({ config, weights }, { batch: 3 }, ['image_embeds', 'hidden_states.23']);
    expect(model.inputs).toEqual([{ name: 'pixel_values', type: 'float32', dims: [3, 3, 224, 224] }]);
    expect(model.outputs).toEqual([
      { name: 'image_embeds', type: 'float32', dims: [3, 768] },
      { name: 'hidden_states.23', type: 'float32', dims: [3, 257, 1024] },
    ]);
  });

  describe.each(['sd15-vae', 'sd15-vae-old-keys', 'sdxl-vae'])('%s', (name) => {
    test('its decoder', () => {
      const weights = recorded(name);
      const config = vaeDecoderConfig({}, weights);
      expect(config).toMatchObject({ latentChannels: 4, levels: [512, 512, 256, 128], layers: 3 });
      const model = vaeDecoderModel({ config, weights }, { batch: 1, height: 64, width: 96 });
      expect(model.outputs).toEqual([{ name: 'sample', type: 'float32', dims: [1, 3, 512, 768] }]);
    });

    test('its encoder', () => {
      const weights = recorded(name);
      const config = vaeEncoderConfig({}, weights);
      expect(config).toMatchObject({ latentChannels: 4, levels: [128, 256, 512, 512], layers: 2 });
      const model = vaeEncoderModel({ config, weights }, { batch: 1, height: 512, width: 768 });
      expect(model.outputs).toEqual([{ name: 'moments', type: 'float32', dims: [1, 8, 64, 96] }]);
    });
  });

  test("PhotoMaker's identity encoder, beside low-rank layers", () => {
    const lora = 'lora_weights.unet.mid_block.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora.up.weight';
    const weights = recorded('photomaker-v1', { [lora]: ['F16', [1280, 64]] });
    const config = photomakerIdConfig({}, weights);
    expect(config).toMatchObject({ vision: { heads: 16, layers: 24 }, projectionWidths: [768, 1280] });
    const model = photomakerIdModel({ config, weights }, { photos: 4, textLength: 77 });
    expect(model.inputs).toEqual([
      { name: 'id_pixel_values', type: 'float32', dims: [1, 4, 3, 224, 224] },
      { name: 'prompt_embeds', type: 'float32', dims: [1, 77, 2048] },
      { name: 'class_tokens_mask', type: 'int64', dims: [1, 77] },
    ]);
    expect(model.outputs).toEqual([{ name: 'prompt_embeds', type: 'float32', dims: [1, 77, 2048] }]);
  });

  test("InstantID's resampler, beside the layers of the UNet", () => {
    const weights = recorded('instant-id-image-proj', { 'ip_adapter.1.to_k_ip.weight': ['F32', [640, 2048]] });
    const config = resamplerConfig({}, weights);
    expect(config).toMatchObject({ heads: 20, layers: 4, queries: 16, mlpWidth: 5120 });
    const model = resamplerModel({ config, weights }, { batch: 2, length: 1 });
    expect(model.inputs).toEqual([{ name: 'embeds', type: 'float32', dims: [2, 1, 512] }]);
    expect(model.outputs).toEqual([{ name: 'tokens', type: 'float32', dims: [2, 16, 2048] }]);
  });

  test('the safety checker, also with the numbers of its positions', () => {
    const ids = 'vision_model.vision_model.embeddings.position_ids';
    const weights = recorded('safety-checker', { [ids]: ['I64', [1, 257]] });
    const config = safetyCheckerConfig({ vision_config: vision }, weights);
    expect(config).toMatchObject({ vision: { heads: 16 }, concepts: 17, specialConcepts: 3, projectionWidth: 768 });
    const model = safetyCheckerModel({ config, weights }, { batch: 4 });
    expect(model.outputs.map(({ name, dims }) => [name, dims])).toEqual([
      ['special_cosines', [4, 3]],
      ['special_thresholds', [3]],
      ['cosines', [4, 17]],
      ['thresholds', [17]],
    ]);
  });
});

describe('what an encoder lacks is refused', () => {
  const open = () => {
    const weights = recorded('sd15-text-encoder');
    return { config: clipTextConfig(text, weights), weights };
  };
  const shape = { batch: 1, length: 77 };

  test('a state after more layers than there are', () => {
    expect(() => clipTextModel(open(), shape, ['hidden_states.13'])).toThrow(/12 layers, so states 0 to 12/);
    expect(() => clipTextModel(open(), shape, ['hidden_states.-14'])).toThrow(/states 0 to 12/);
  });

  test('a projection', () => {
    expect(() => clipTextModel(open(), shape, ['text_embeds'])).toThrow(/has no projection/);
  });

  test('a layer that is not the same as the others', () => {
    const broken = recorded('sdxl-text-encoder-2', { 'text_model.encoder.layers.31.mlp.fc3.bias': ['F32', [1]] });
    const config = clipTextConfig(bigText, broken);
    expect(() => clipTextModel({ config, weights: broken }, shape, ['text_embeds'])).toThrow(/Without a use: .*fc3/);
  });

  test('a grid of patches that is no square', () => {
    const weights = recorded('clip-vision-large', {
      'vision_model.embeddings.position_embedding.weight': ['F32', [200, 1024]],
    });
    expect(() => clipVisionConfig(vision, weights, 'vision_model')).toThrow(/200 positions/);
  });

  test('heads that do not divide the width', () => {
    expect(() => resamplerConfig({ dim_head: 48 }, recorded('instant-id-image-proj'))).toThrow(/dim_head/);
  });
});

test.each([
  ['hidden_act', { hidden_act: 'relu' }],
  ['num_attention_heads', { num_attention_heads: 0 }],
  ['eos_token_id', { eos_token_id: 'end' }],
  ['layer_norm_eps', { layer_norm_eps: -1 }],
])('a configuration with another %s is refused', (key, json) => {
  expect(() => clipTextConfig(json, recorded('sd15-text-encoder'))).toThrow(new RegExp(`"${key}"`));
});

test.each([{ use_quant_conv: false }, { mid_block_add_attention: false }, { norm_num_groups: 0 }])(
  'an autoencoder with %j is refused',
  (json) => expect(() => vaeEncoderConfig(json, recorded('sdxl-vae'))).toThrow(/config\.json sets/),
);
