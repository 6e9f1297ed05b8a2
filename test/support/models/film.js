import { setTimeout as pause } from 'node:timers/promises';

/** The first box of an MP4 file, by which its kind is recognised. */
const start = Buffer.from('0000001c667479706d70343200000001697361736d70343161766331', 'hex');

export default {
  owner: 'test',
  name: 'film',
  version: '5'.repeat(64),
  description: 'Makes one film in steps of a tenth of a second.',
  createdAt: '2026-03-01T00:00:00.000Z',
  inputs: {
    prompt: { kind: 'text', description: 'Fails when it says so.', default: 'a house' },
    seed: { kind: 'integer', description: 'The last byte of the film.', default: 0, minimum: 0, maximum: 255 },
    steps: { kind: 'integer', description: 'How many steps.', default: 1, minimum: 0, maximum: 100 },
  },
  output: 'file',
  weights: [],
  async *predict(input, context) {
    if (input.prompt === 'fail') throw new Error('the camera is broken');
    for (let step = 0; step < input.steps; step++) {
      context.signal.throwIfAborted();
      await pause(100);
      context.step(step + 1, input.steps);
    }
    yield { name: 'film.mp4', contentType: 'video/mp4', bytes: Buffer.concat([start, Buffer.of(input.seed)]) };
  },
};
