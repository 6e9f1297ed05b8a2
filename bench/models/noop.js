/** Does nothing: what remains is the server, the queue and the way to the engine. */
export default {
  owner: 'bench',
  name: 'noop',
  version: '0'.repeat(64),
  description: 'Does nothing.',
  createdAt: '2026-01-01T00:00:00.000Z',
  inputs: {},
  output: 'file-list',
  weights: [],
  async *predict() {},
};
