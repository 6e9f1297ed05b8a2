import { expect, test } from 'vitest';
import { weightsLine } from './weights-line.ts';

const asked = ['a/base', 'b/faces'].map((repository) => ({
  repository,
  files: [],
  licence: 'any',
  commercialUse: true,
}));

test('which set runs, from where, and why', () => {
  expect(weightsLine({ set: 'full', folders: [] }, 'o/m', asked)).toBe('Weights: the full set, from a/base, b/faces.');
  expect(weightsLine({ set: 'mini', folders: [], reason: 'Not on this disk: b/faces.' }, 'o/m', asked)).toMatch(
    /^Weights: the mini set\. .*untrained.* `darkroom models o\/m` says how to get them\. Not on this disk: b\/faces\.$/,
  );
});
