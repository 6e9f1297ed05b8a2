import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';

/** Does what its inputs say, in steps between which it can be canceled. */
export default {
  owner: 'test',
  name: 'echo',
  version: 'e'.repeat(64),
  description: 'Writes its text into files, step by step.',
  createdAt: '2026-01-01T00:00:00.000Z',
  inputs: {
    text: { kind: 'text', description: 'Content of each output file.', default: 'hello' },
    image: { kind: 'image', description: 'Its size is logged.', optional: true },
    steps: { kind: 'integer', description: 'How many steps.', default: 2, minimum: 0 },
    step_ms: { kind: 'integer', description: 'How long a step takes.', default: 5, minimum: 0 },
    num_outputs: { kind: 'integer', description: 'How many files.', default: 1, minimum: 0 },
    output_ms: { kind: 'integer', description: 'How long a file takes.', default: 0, minimum: 0 },
    until: {
      kind: 'text',
      description: 'Path of a file: once it is there no further step is made, and a second file.',
      default: '',
    },
  },
  output: 'file-list',
  weights: [],
  async *predict(input, context) {
    context.log(`steps ${input.steps}`);
    if (input.image) context.log(`image of ${(await readFile(input.image)).length} bytes`);
    const isTold = () => input.until !== '' && existsSync(input.until);
    for (let step = 0; step < input.steps && !isTold(); step++) {
      context.signal.throwIfAborted();
      await pause(input.step_ms);
      context.step(step + 1, input.steps);
      context.preview(() => {
        context.log('drawn');
        return { width: 2, height: 1, channels: 3, data: Uint8Array.of(250, 0, 0, 0, 0, step) };
      });
    }
    for (let index = 0; index < input.num_outputs; index++) {
      await pause(input.output_ms);
      while (index > 0 && input.until !== '' && !isTold()) {
        context.signal.throwIfAborted();
        await pause(10);
      }
      context.signal.throwIfAborted();
      const bytes = Buffer.from(`${input.text} ${index}`);
      yield { name: `out-${index}.txt`, contentType: 'text/plain', bytes };
    }
  },
};
