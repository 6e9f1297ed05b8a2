import { setTimeout as pause } from 'node:timers/promises';

/** Makes files now and then; the name of each says when it was finished. */
export default {
  owner: 'bench',
  name: 'paced',
  version: '1'.repeat(64),
  description: 'Makes files now and then.',
  createdAt: '2026-01-01T00:00:00.000Z',
  inputs: {
    files: { kind: 'integer', description: 'How many.', default: 1, minimum: 0 },
    pause_ms: { kind: 'integer', description: 'Milliseconds before each file, and before the end.', default: 20 },
  },
  output: 'file-list',
  weights: [],
  async *predict({ files, pause_ms }, { signal }) {
    for (let index = 0; index < files; index++) {
      await pause(pause_ms);
      signal.throwIfAborted();
      yield { name: `${Date.now()}.txt`, contentType: 'text/plain', bytes: Buffer.from(String(index)) };
    }
    await pause(pause_ms);
  },
};
