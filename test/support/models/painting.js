import { setTimeout as pause } from 'node:timers/promises';
import sharp from 'sharp';

/** With the inputs that image clients send: `aspect_ratio` and `size` are none of them, and are dropped. */
export default {
  owner: 'test',
  name: 'painting',
  version: '4'.repeat(64),
  description: 'Paints one plain picture in steps of a tenth of a second.',
  createdAt: '2026-03-01T00:00:00.000Z',
  inputs: {
    prompt: { kind: 'text', description: 'Fails when it says so.', default: 'a house' },
    image: { kind: 'image', description: 'Decides the size, when given.', optional: true },
    mask: { kind: 'image', description: 'Must have the size of the image.', optional: true },
    seed: { kind: 'integer', description: 'Becomes the shade.', default: 0, minimum: 0, maximum: 255 },
    num_inference_steps: { kind: 'integer', description: 'How many steps.', default: 1, minimum: 0, maximum: 100 },
    num_outputs: { kind: 'integer', description: 'How many.', default: 1, minimum: 1, maximum: 4 },
    output_format: { kind: 'choice', choices: ['png', 'jpg', 'webp'], description: 'Kind of file.', default: 'png' },
  },
  output: 'file-list',
  weights: [],
  async *predict(input, context) {
    if (input.prompt === 'fail') throw new Error('the paint is dry');
    for (let step = 0; step < input.num_inference_steps; step++) {
      context.signal.throwIfAborted();
      await pause(100);
      context.step(step + 1, input.num_inference_steps);
    }
    const { width, height } = input.image ? await sharp(input.image).metadata() : { width: 5, height: 3 };
    if (input.mask) {
      const mask = await sharp(input.mask).metadata();
      if (mask.width !== width || mask.height !== height) throw new Error('the mask does not fit');
    }
    const type = { png: 'png', jpg: 'jpeg', webp: 'webp' }[input.output_format];
    for (let index = 0; index < input.num_outputs; index++) {
      const background = { r: input.seed, g: index, b: 0 };
      const picture = sharp({ create: { width, height, channels: 3, background } }).toFormat(type);
      yield {
        name: `out-${index}.${input.output_format}`,
        contentType: `image/${type}`,
        bytes: await picture.toBuffer(),
      };
    }
  },
};
