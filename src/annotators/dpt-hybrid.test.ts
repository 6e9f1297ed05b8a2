/** The graph of the published network, built from what the header of its file says; see networks/full-size.test.ts. */
import { expect, test } from 'vitest';
import { type Header, recordedHeader, weightsOfHeader } from '../../test/support/recorded-header.ts';
import { WeightError } from '../base/errors.ts';
import { dptHybridConfig, dptHybridModel } from './dpt-hybrid.ts';

const header = recordedHeader('dpt-hybrid-midas');
const recorded = (changes: Header = {}) => weightsOfHeader({ ...header, ...changes }, 'dpt-hybrid-midas');

test('every tensor of the published file is used once', () => {
  const weights = recorded();
  const config = dptHybridConfig(weights);
  expect(config).toEqual({
    stages: {
      stemWidth: 64,
      stages: [
        { blocks: 3, innerWidth: 64, width: 256 },
        { blocks: 4, innerWidth: 128, width: 512 },
        { blocks: 9, innerWidth: 256, width: 1024 },
      ],
      groups: 32,
    },
    width: 768,
    heads: 12,
    epsilon: 1e-6,
    joined: true,
    mlpWidth: 3072,
    layers: 12,
    grid: 24,
    readoutWidths: [768, 768],
    fusionWidth: 256,
    headWidths: [128, 32],
  });
  const model = dptHybridModel({ config, weights }, { batch: 1, height: 512, width: 704 });
  expect(model.inputs).toEqual([{ name: 'pixel_values', type: 'float32', dims: [1, 3, 512, 704] }]);
  expect(model.outputs).toEqual([{ name: 'predicted_depth', type: 'float32', dims: [1, 512, 704] }]);
});

test('a picture whose sides it cannot halve five times is refused', () => {
  const weights = recorded();
  const shape = { batch: 1, height: 512, width: 720 };
  expect(() => dptHybridModel({ config: dptHybridConfig(weights), weights }, shape)).toThrow('multiples of 32');
});

test.each<[string, Header]>([
  ['positions that are no square', { 'pretrained.model.pos_embed': ['F32', [1, 600, 768]] }],
  ['a width without whole heads', { 'pretrained.model.pos_embed': ['F32', [1, 577, 100]] }],
])('%s are refused', (_, changes) => {
  expect(() => dptHybridConfig(recorded(changes))).toThrow(WeightError);
});
