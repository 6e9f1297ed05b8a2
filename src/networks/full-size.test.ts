/**
 * The graphs of the published UNets and of what steers them, built from what their headers say; no weights are needed.
 * A tensor that the network lacks, does not use, uses twice or expects in another shape fails the build.
 */
import { describe, expect, test } from 'vitest';
import { type Header, recordedHeader, weightsOfHeader } from '../../test/support/recorded-header.ts';
import { WeightError } from '../base/errors.ts';
import type { NetworkWeights } from '../weights/scope.ts';
import { type MotionVersion, motionConfig, motionUnetModel } from './motion-unet.ts';
import { unetModel } from './unet.ts';
import { controlnetConfig, unetConfig } from './unet-config.ts';

function recorded(name: string, change: (header: Header) => void = () => {}): NetworkWeights {
  const header = recordedHeader(name);
  change(header);
  return weightsOfHeader(header, name);
}

const shape = { batch: 2, height: 64, width: 96, textLength: 77 };
/** The published configurations, as far as shapes do not tell it; the rest is the default. */
const published = { attention_head_dim: 8, norm_num_groups: 32, norm_eps: 1e-5, act_fn: 'silu' };

function unet(weights = recorded('sd15-unet')) {
  return { config: unetConfig(published, weights), weights };
}

describe('every tensor of the published file is used once by the graph of', () => {
  test('the UNet', () => {
    const net = unet();
    expect(net.config).toMatchObject({ contextWidth: 768, linearProjection: false });
    expect(net.config.down).toEqual([
      { channels: 320, heads: 8, depths: [1, 1] },
      { channels: 640, heads: 8, depths: [1, 1] },
      { channels: 1280, heads: 8, depths: [1, 1] },
      { channels: 1280, heads: 8, depths: [null, null] },
    ]);
    expect(net.config.middle).toEqual({ channels: 1280, heads: 8, depths: [1] });
    const model = unetModel(net, shape);
    expect(model.outputs).toEqual([{ name: 'sample', type: 'float32', dims: [2, 4, 64, 96] }]);
    expect(model.bytes.byteLength).toBeLessThan(500_000);
  });

  test('the ControlNet', () => {
    const weights = recorded('sd15-controlnet');
    const config = controlnetConfig(published, weights);
    expect(config.conditionChannels).toEqual([16, 32, 96, 256]);
    const model = unetModel(unet(), shape, { controlnets: [{ config, weights, conditionBatch: 1 }] });
    expect(model.inputs).toEqual([
      { name: 'sample', type: 'float32', dims: [2, 4, 64, 96] },
      { name: 'timestep', type: 'float32', dims: [1] },
      { name: 'encoder_hidden_states', type: 'float32', dims: [2, 77, 768] },
      { name: 'controlnet_cond.0', type: 'float32', dims: [1, 3, 512, 768] },
      { name: 'conditioning_scale.0', type: 'float32', dims: [1] },
    ]);
  });
});

describe('motion modules', () => {
  const model = (version: MotionVersion, file: string, frames = 16) => {
    const weights = recorded(file);
    return motionUnetModel(unet(), { config: motionConfig(version, weights), weights }, { ...shape, frames });
  };

  // Names and shapes of v14 and v15 are the same.
  test.each([
    ['v14', 'motion-module-v14'],
    ['v15', 'motion-module-v14'],
    ['v15_v2', 'motion-module-v15_v2'],
  ] as const)('%s: every tensor is used once', (version, file) => {
    expect(model(version, file).outputs).toEqual([{ name: 'sample', type: 'float32', dims: [2, 4, 16, 64, 96] }]);
  });

  test('a file of another version is refused', () => {
    expect(() => model('v15', 'motion-module-v15_v2')).toThrow(/Without a use: mid_block\.motion_modules/);
    expect(() => model('v15_v2', 'motion-module-v14')).toThrow(/Missing: mid_block\.motion_modules/);
  });

  test('more frames than positions are refused', () => {
    expect(() => model('v14', 'motion-module-v14', 25)).toThrow(/knows 24 frames at most; 25/);
    expect(() => model('v15_v2', 'motion-module-v15_v2', 32)).not.toThrow();
  });
});

describe('a file that does not fit is refused', () => {
  const open = (change: (header: Header) => void) => () => unetModel(unet(recorded('sd15-unet', change)), shape);

  test('when a tensor is missing', () => {
    const failed = open((header) => delete header['up_blocks.3.resnets.2.conv_shortcut.bias']);
    expect(failed).toThrow(/Missing: up_blocks\.3\.resnets\.2\.conv_shortcut\.bias\./);
  });

  test('when it has a tensor more', () => {
    const failed = open((header) => {
      header['add_embedding.linear_1.weight'] = ['F32', [1280, 2816]];
    });
    expect(failed).toThrow(/Without a use: add_embedding\.linear_1\.weight\./);
  });

  test('when a shape is another', () => {
    const failed = open((header) => {
      header['mid_block.resnets.1.conv2.weight'] = ['F32', [1280, 1280, 1, 1]];
    });
    expect(failed).toThrow(/"mid_block\.resnets\.1\.conv2\.weight" of sd15-unet has the shape \[1280, 1280, 1, 1\]/);
  });

  test('when a type is not for weights', () => {
    const failed = open((header) => {
      header['conv_in.bias'] = ['I64', [320]];
    });
    expect(failed).toThrow(/"conv_in\.bias" .* I64/);
  });

  test('when it is another kind of file', () => {
    expect(() => unetConfig(published, recorded('sd15-vae'))).toThrow(WeightError);
  });
});

describe('a configuration is refused', () => {
  test.each([
    [{ resnet_time_scale_shift: 'scale_shift' }, /"resnet_time_scale_shift" to "scale_shift"/],
    [{ addition_embed_type: 'image' }, /"addition_embed_type" to "image"/],
    [{ attention_head_dim: 0 }, /"attention_head_dim" to 0/],
    [{ attention_head_dim: [8, 8] }, /"attention_head_dim"/],
    [{ only_cross_attention: [true, true, true, false] }, /"only_cross_attention" to true/],
    [{ down_block_types: ['AttnDownBlock2D', 'DownBlock2D'] }, /"down_block_types" to "AttnDownBlock2D"/],
    [{ mid_block_type: null }, /"mid_block_type" to null/],
    [{ time_cond_proj_dim: 256 }, /"time_cond_proj_dim"/],
    [{ addition_embed_type: 'text_time' }, /"addition_time_embed_dim"/],
    [{ norm_eps: 'small' }, /"norm_eps" to "small"/],
    [[], /does not hold an object/],
  ])('%j', (json, message) => expect(() => unetConfig(json, recorded('sd15-unet'))).toThrow(message));

  test('with an unknown channel order', () => {
    const order = { controlnet_conditioning_channel_order: 'hsv' };
    expect(() => controlnetConfig(order, recorded('sd15-controlnet'))).toThrow(/channel_order" to "hsv"/);
  });
});
