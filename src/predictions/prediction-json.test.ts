import { expect, test } from 'vitest';
import { finishedPrediction } from '../../test/support/prediction.ts';
import { formatFileRef } from '../storage/file-ref.ts';
import type { Prediction } from './prediction.ts';
import { predictionJson } from './prediction-json.ts';

const key = 'AbCdEfGhIjKlMnOpQrStUvWxYz012345';
const origin = 'https://box.example';
const prediction: Prediction = {
  ...finishedPrediction,
  input: { image: formatFileRef({ key, name: 'image.png' }), prompt: `darkroom-file:${key}/image.png`, seed: null },
  output: [formatFileRef({ key, name: 'out 0.png' })],
  fileInputs: ['image'],
};

test('files become URLs, a prompt that looks like a reference stays a prompt', () => {
  expect(predictionJson(prediction, origin)).toEqual({
    id: prediction.id,
    model: 'test/picture',
    version: '3'.repeat(64),
    input: { image: `${origin}/f/${key}/image.png`, prompt: `darkroom-file:${key}/image.png`, seed: null },
    logs: 'Using seed: 1\n',
    output: [`${origin}/f/${key}/out%200.png`],
    data_removed: false,
    error: null,
    source: 'api',
    status: 'succeeded',
    created_at: '2026-01-01T00:00:00.120Z',
    started_at: '2026-01-01T00:00:01.000Z',
    completed_at: '2026-01-01T00:00:02.500Z',
    metrics: { predict_time: 1.5, total_time: 2.38 },
    urls: {
      cancel: `${origin}/v1/predictions/${prediction.id}/cancel`,
      get: `${origin}/v1/predictions/${prediction.id}`,
      stream: `${origin}/v1/files/stream-${prediction.id}-${prediction.streamKey}`,
    },
  });
});

test('one file stays one URL, and whatever else a model returns stays as it is', () => {
  const outputOf = (output: unknown) => predictionJson({ ...prediction, output }, origin).output;
  expect(outputOf(formatFileRef({ key, name: 'a.mp4' }))).toBe(`${origin}/f/${key}/a.mp4`);
  expect(outputOf({ files: [formatFileRef({ key, name: 'a' })], score: 0.5, none: null })).toEqual({
    files: [`${origin}/f/${key}/a`],
    score: 0.5,
    none: null,
  });
  expect(outputOf(undefined)).toBeNull();
});

test('D4 aborted is reported as canceled', () => {
  expect(predictionJson({ ...prediction, status: 'aborted' }, origin).status).toBe('canceled');
});

test('S21 no output while it runs', () => {
  expect(predictionJson({ ...prediction, status: 'processing', completedAt: null }, origin).output).toBeNull();
});
