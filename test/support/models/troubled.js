import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';

/** Goes wrong in the way that its input names. */
export default {
  owner: 'test',
  name: 'troubled',
  version: '2'.repeat(64),
  description: 'Fails, dies or does not listen.',
  createdAt: '2026-01-01T00:00:00.000Z',
  inputs: {
    trouble: { kind: 'choice', choices: ['throw', 'exit', 'kill', 'busy', 'flood'], description: 'What goes wrong.' },
    times: { kind: 'integer', description: 'After that often it goes well.', default: 1000 },
    counter: { kind: 'text', description: 'Path of the file that counts the starts.', default: '' },
    until: { kind: 'text', description: 'Path of a file: the trouble begins once it is there.', default: '' },
  },
  output: 'file-list',
  weights: [],
  async *predict(input, context) {
    context.log(`trouble ${input.trouble}`);
    if (input.counter) {
      const before = Number(await readFile(input.counter, 'utf8').catch(() => '0'));
      await writeFile(input.counter, String(before + 1));
      if (before >= input.times) {
        yield { name: 'well.txt', contentType: 'text/plain', bytes: Buffer.from('well') };
        return;
      }
    }
    yield { name: 'half.txt', contentType: 'text/plain', bytes: Buffer.from('half') };
    // What was said so far reaches the host before the trouble begins.
    await pause(150);
    while (input.until && !existsSync(input.until)) await pause(10);
    if (input.trouble === 'throw') throw new Error('the model broke');
    if (input.trouble === 'exit') process.exit(7);
    if (input.trouble === 'kill') process.kill(process.pid, 'SIGKILL');
    if (input.trouble === 'flood') for (let line = 0; line < 400; line++) context.log('x'.repeat(16_000));
    while (input.trouble === 'busy') {}
  },
};
