import { expect, test } from 'vitest';
import type { Prediction } from '../predictions/prediction.ts';
import { formatFileRef } from '../storage/file-ref.ts';
import { asStillStarting, parseFileUrl, predictionJson } from './wire.ts';

const key = 'AbCdEfGhIjKlMnOpQrStUvWxYz012345';
const origin = 'https://box.example';
const prediction: Prediction = {
  id: '01hzy0h5jgvqq5fnghhped27q2',
  account: 'local',
  model: 'test/picture',
  version: '3'.repeat(64),
  input: { image: formatFileRef({ key, name: 'image.png' }), prompt: `darkroom-file:${key}/image.png`, seed: null },
  output: [formatFileRef({ key, name: 'out 0.png' })],
  logs: 'Using seed: 1\n',
  error: null,
  status: 'succeeded',
  source: 'api',
  origin: 'https://other.example',
  createdAt: new Date('2026-01-01T00:00:00.12Z'),
  startedAt: new Date('2026-01-01T00:00:01Z'),
  completedAt: new Date('2026-01-01T00:00:02.5Z'),
  metrics: { predict_time: 1.5, total_time: 2.38 },
  dataRemoved: false,
  attempt: 1,
  interruptions: 0,
  cancelRequestedAt: null,
};

test('files become URLs, a prompt that looks like a reference stays a prompt', () => {
  expect(predictionJson(prediction, origin, ['image'])).toEqual({
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
    },
  });
});

test('one file stays one URL, and whatever else a model returns stays as it is', () => {
  const outputOf = (output: unknown) => predictionJson({ ...prediction, output }, origin, []).output;
  expect(outputOf(formatFileRef({ key, name: 'a.mp4' }))).toBe(`${origin}/f/${key}/a.mp4`);
  expect(outputOf({ files: [formatFileRef({ key, name: 'a' })], score: 0.5, none: null })).toEqual({
    files: [`${origin}/f/${key}/a`],
    score: 0.5,
    none: null,
  });
  expect(outputOf(undefined)).toBeNull();
});

test('D4 aborted is reported as canceled', () => {
  expect(predictionJson({ ...prediction, status: 'aborted' }, origin, []).status).toBe('canceled');
});

test('S21 no output while it runs', () => {
  expect(predictionJson({ ...prediction, status: 'processing', completedAt: null }, origin, []).output).toBeNull();
});

test('D5 what still runs is starting, what has ended is what it is', () => {
  expect(asStillStarting({ ...prediction, status: 'processing' })).toMatchObject({
    status: 'starting',
    startedAt: null,
  });
  expect(asStillStarting(prediction)).toBe(prediction);
});

test.each([
  [`http://127.0.0.1:5000/f/${key}/out-0.png`, { key, name: 'out-0.png' }],
  [`https://container/v1/f/${key}/out%200.png?x=1#y`, { key, name: 'out 0.png' }],
  [`http://x/v1/v1/f/${key}/a`, { key, name: 'a' }],
])('%s is a file of ours', (url, ref) => {
  expect(parseFileUrl(url)).toEqual(ref);
});

test.each([
  `http://x/g/${key}/a`,
  `http://x/f/${key}`,
  `http://x/f/${key}/a/b`,
  `http://x/f/${key}/%zz`,
  'http://x/f/../etc/passwd',
  'data:,x',
  'f',
])('%s is none', (url) => {
  expect(parseFileUrl(url)).toBeUndefined();
});
