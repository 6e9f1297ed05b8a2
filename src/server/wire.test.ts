import { expect, test } from 'vitest';
import type { Prediction } from '../predictions/prediction.ts';
import { asStillStarting } from './wire.ts';

const prediction: Prediction = {
  id: '01hzy0h5jgvqq5fnghhped27q2',
  account: 'local',
  model: 'test/picture',
  version: '3'.repeat(64),
  input: {},
  output: null,
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
  deployment: null,
  streamKey: 'a'.repeat(32),
  fileInputs: [],
  webhook: null,
  webhookEventsFilter: null,
  deadline: null,
  reportsAborted: false,
};

test('D5 what still runs is starting, what has ended is what it is', () => {
  expect(asStillStarting({ ...prediction, status: 'processing' })).toMatchObject({
    status: 'starting',
    startedAt: null,
  });
  expect(asStillStarting(prediction)).toBe(prediction);
});
