/** One file and not a list of them. */
export default {
  owner: 'test',
  name: 'single',
  version: '1'.repeat(64),
  description: 'Makes one file.',
  createdAt: '2026-01-01T00:00:00.000Z',
  inputs: {},
  output: 'file',
  weights: [],
  async *predict() {
    yield { name: 'out.txt', contentType: 'text/plain', bytes: Buffer.from('only one') };
  },
};
