import { expect, test } from 'vitest';
import { finishedPrediction as prediction } from '../../test/support/prediction.ts';
import { asStillStarting } from './wire.ts';

test('D5 what still runs is starting, what has ended is what it is', () => {
  expect(asStillStarting({ ...prediction, status: 'processing' })).toMatchObject({
    status: 'starting',
    startedAt: null,
  });
  expect(asStillStarting(prediction)).toBe(prediction);
});
