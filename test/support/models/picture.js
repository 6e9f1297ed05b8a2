import sharp from 'sharp';

/** Small real pictures, so that delivery has something to recognise. */
export default {
  owner: 'test',
  name: 'picture',
  version: '3'.repeat(64),
  description: 'Makes plain pictures.',
  createdAt: '2026-02-01T00:00:00.000Z',
  inputs: {
    image: { kind: 'image', description: 'Decides the size, when given.', optional: true },
    prompt: { kind: 'text', description: 'Is logged.', default: 'a house' },
    shade: { kind: 'integer', description: 'How bright.', default: 40, minimum: 0, maximum: 255 },
    num_outputs: { kind: 'integer', description: 'How many.', default: 1, minimum: 1, maximum: 4 },
    format: { kind: 'choice', choices: ['png', 'svg'], description: 'Kind of file.', default: 'png' },
  },
  output: 'file-list',
  weights: [],
  async *predict(input, context) {
    context.log(`prompt of ${input.prompt.length} characters`);
    const { width, height } = input.image ? await sharp(input.image).metadata() : { width: 5, height: 3 };
    for (let index = 0; index < input.num_outputs; index++) {
      const background = { r: input.shade, g: index, b: 0 };
      const png = await sharp({ create: { width, height, channels: 3, background } })
        .png()
        .toBuffer();
      const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>');
      yield {
        name: `out-${index}.${input.format}`,
        contentType: 'image/png',
        bytes: input.format === 'png' ? png : svg,
      };
    }
  },
};
