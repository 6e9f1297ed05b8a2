/**
 * Runs rossjillian/controlnet on a photograph through the unmodified `replicate` client.
 *
 *   npm start                                                                (in one terminal)
 *   node examples/structure-to-picture.js photo.jpg "a bronze bust" canny    (in another)
 *
 * The last word is what the picture follows: canny, depth, hed, hough, normal, pose, scribble or seg. Saves structure.png,
 * what the model sees of the photograph, and picture.png.
 * DARKROOM_URL and DARKROOM_API_TOKEN name another server.
 */
import { readFile, writeFile } from 'node:fs/promises';
import Replicate from 'replicate';

const [photograph, prompt = 'a portrait of an astronaut, oil painting', structure = 'canny'] = process.argv.slice(2);
if (!photograph) {
  console.error('Usage: node examples/structure-to-picture.js <photograph> [prompt] [structure]');
  process.exit(2);
}

const replicate = new Replicate({
  baseUrl: `${process.env.DARKROOM_URL ?? 'http://127.0.0.1:5000'}/v1`,
  auth: process.env.DARKROOM_API_TOKEN ?? 'any',
});

let shown = '';
const output = await replicate.run(
  'rossjillian/controlnet:795433b19458d0f4fa172a7ccf93178d2adb1cb8ab2ad6c8fdc33fdbcd49f477',
  {
    input: {
      image: await readFile(photograph),
      prompt,
      structure,
      image_resolution: 512,
      steps: 20,
      seed: 7,
      return_reference_image: true,
    },
    // Otherwise the first answer is held until the end, for up to a minute, and nothing is heard before.
    wait: { mode: 'poll' },
  },
  ({ status, logs }) => {
    const line = `${status} ${logs?.trimEnd().split('\n').at(-1) ?? ''}`;
    if (line !== shown) console.log(line);
    shown = line;
  },
);

for (const [index, name] of ['structure.png', 'picture.png'].entries()) {
  const response = await fetch(String(output[index]));
  await writeFile(name, Buffer.from(await response.arrayBuffer()));
  console.log(`saved ${name}`);
}
