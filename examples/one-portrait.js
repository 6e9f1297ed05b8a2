/**
 * Draws the person of one portrait by all three models that do so, through the unmodified `replicate` client.
 *
 *   npm start                                 (in one terminal)
 *   node examples/one-portrait.js photo.jpg   (in another)
 *
 * The photograph is uploaded once. Saves face-to-many.png, instant-id.webp and photomaker.png.
 * DARKROOM_URL and DARKROOM_API_TOKEN name another server.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { extname } from 'node:path';
import Replicate from 'replicate';

const [photograph] = process.argv.slice(2);
if (!photograph) {
  console.error('Usage: node examples/one-portrait.js <photograph>');
  process.exit(2);
}

const replicate = new Replicate({
  baseUrl: `${process.env.DARKROOM_URL ?? 'http://127.0.0.1:5000'}/v1`,
  auth: process.env.DARKROOM_API_TOKEN ?? 'any',
});

const portrait = (await replicate.files.create(new Blob([await readFile(photograph)]))).urls.get;

// Without a version the model's latest one runs.
const drawings = {
  'fofr/face-to-many': { image: portrait, style: 'Clay', prompt: 'an astronaut' },
  'zsxkib/instant-id': { image: portrait, prompt: 'an astronaut on the moon, oil painting', num_inference_steps: 10 },
  'tencentarc/photomaker': {
    input_image: portrait,
    prompt: 'a photo of a woman img on the moon', // `img` right after the word for the person
    style_name: 'Digital Art',
  },
};

// They wait in the server's queue: DARKROOM_CONCURRENCY says how many run at the same time.
await Promise.all(Object.entries(drawings).map(([model, input]) => draw(model, input)));

async function draw(model, input) {
  const name = model.split('/')[1];
  try {
    const [picture] = await replicate.run(model, { input, wait: { mode: 'poll' } }, reporter(name));
    if (!picture) throw new Error('the safety checker left the picture out; try another seed.');
    const target = `${name}${extname(String(picture))}`;
    const response = await fetch(String(picture));
    await writeFile(target, Buffer.from(await response.arrayBuffer()));
    console.log(`saved ${target}`);
  } catch (error) {
    // The server's words say which input it is and what to do.
    console.error(`${name}: ${error.message}`);
    process.exitCode = 1;
  }
}

/** Prints how far a prediction is, whenever that has changed. */
function reporter(name) {
  let shown;
  return ({ status, logs }) => {
    const line = `${name} ${status} ${logs?.match(/^.*%\|.*$/gm)?.at(-1) ?? ''}`;
    if (line !== shown) console.log(line);
    shown = line;
  };
}
