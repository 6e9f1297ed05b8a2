/** The unmodified `@ai-sdk/replicate` against the real server. Numbers are those of docs/api.md. */
import { createReplicate } from '@ai-sdk/replicate';
import { generateImage, experimental_generateVideo as generateVideo } from 'ai';
import Replicate from 'replicate';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { endless } from '../support/gate.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { waitUntil } from '../support/wait-until.ts';

const painting = { unversioned: 'test/painting', versioned: `test/painting:${'4'.repeat(64)}` };

let server: TestServer;
let sdk: ReturnType<typeof createReplicate>;
let replicate: Replicate;
beforeAll(async () => {
  server = await startTestServer({ apiTokens: ['r8_sdk'] });
  sdk = createReplicate({ apiToken: 'r8_sdk', baseURL: `${server.origin}/v1` });
  replicate = new Replicate({ auth: 'r8_sdk', baseUrl: `${server.origin}/v1` });
});
afterAll(() => server?.close());

const plain = (width: number, height: number) =>
  sharp({ create: { width, height, channels: 3, background: 'red' } })
    .png()
    .toBuffer();
const sizeOf = async (bytes: Uint8Array) => {
  const { format, width, height } = await sharp(bytes).metadata();
  return { format, width, height };
};
/** The predictions of this account, the newest first. */
const newest = async () => {
  const { results } = await replicate.predictions.list();
  return results[0]!;
};

test.each(Object.entries(painting))('S3 S4 S9 an image, model %s', async (_, name) => {
  const { image } = await generateImage({ model: sdk.image(name), prompt: 'a hut', seed: 9, aspectRatio: '16:9' });
  expect(image.mediaType).toBe('image/png');
  const { data } = await sharp(image.uint8Array).raw().toBuffer({ resolveWithObject: true });
  expect([...data.subarray(0, 3)]).toEqual([9, 0, 0]);
  const { input } = await newest();
  // What the model does not know was sent too, and dropped.
  expect(input).toEqual({ prompt: 'a hut', seed: 9, num_outputs: 1 });
});

test.each(['127.0.0.1', 'localhost', 'localhost/'])('D1 D14 S24 by the address %s', async (host) => {
  const [name, slash = ''] = host.split(/(\/)/);
  const near = createReplicate({ apiToken: 'r8_sdk', baseURL: `http://${name}:${server.port}/v1${slash}` });
  const { images } = await generateImage({ model: near.image(painting.unversioned), prompt: 'a hut', n: 2 });
  expect(images).toHaveLength(2);
});

test('S16 D6 files and a mask', async () => {
  const prompt = { text: 'a hut', images: [await plain(7, 4)], mask: await plain(7, 4) };
  const { image } = await generateImage({ model: sdk.image(painting.versioned), prompt });
  expect(await sizeOf(image.uint8Array)).toEqual({ format: 'png', width: 7, height: 4 });
  const { input } = await newest();
  expect(Object.keys(input)).toEqual(['prompt', 'num_outputs', 'image', 'mask']);
});

test('D5 a hold shorter than the prediction goes on as polling; fractions of seconds', async () => {
  const { image } = await generateImage({
    model: sdk.image(painting.unversioned),
    prompt: 'a hut',
    providerOptions: {
      replicate: {
        num_inference_steps: 18,
        maxWaitTimeInSeconds: 0.5,
        pollIntervalMillis: 50,
        output_format: 'webp',
      },
    },
  });
  expect(await sizeOf(image.uint8Array)).toMatchObject({ format: 'webp' });
});

test('S10 a failure', async () => {
  const model = sdk.image(painting.unversioned);
  const failing = generateImage({ model, prompt: 'fail', maxRetries: 0 });
  await expect(failing).rejects.toThrow('Replicate image generation failed: the paint is dry');
});

test('S11 S29 what the server refuses is the text of the error', async () => {
  const steps = generateImage({
    model: sdk.image(painting.unversioned),
    prompt: 'a hut',
    providerOptions: { replicate: { num_inference_steps: 101 } },
    maxRetries: 0,
  });
  await expect(steps).rejects.toThrow('Must be less than or equal to 100');
  const unknown = generateImage({ model: sdk.image('test/nothing'), prompt: 'x', maxRetries: 0 });
  await expect(unknown).rejects.toThrow('The requested resource could not be found.');
  const stranger = createReplicate({ apiToken: 'wrong', baseURL: `${server.origin}/v1` });
  const refused = generateImage({ model: stranger.image(painting.unversioned), prompt: 'x', maxRetries: 0 });
  await expect(refused).rejects.toThrow('You did not pass a valid authentication token');
});

test('an abort ends the call; the prediction goes on', async () => {
  // It waits behind another until the call is over.
  const before = await replicate.predictions.create({ model: 'test/echo', input: { steps: endless, step_ms: 10 } });
  const controller = new AbortController();
  const call = generateImage({
    model: sdk.image(painting.unversioned),
    prompt: 'a hut',
    abortSignal: controller.signal,
    maxRetries: 0,
  });
  const ended = expect(call).rejects.toThrow();
  const made = await waitUntil('it is made', async () => {
    const prediction = await newest();
    return prediction.id !== before.id && prediction;
  });
  controller.abort();
  await ended;
  await replicate.predictions.cancel(before.id);
  expect((await replicate.wait(made, { interval: 50 })).status).toBe('succeeded');
});

test.each(['test/film', `test/film:${'5'.repeat(64)}`])('S18 a video of %s is one URL', async (name) => {
  const { video } = await generateVideo({
    model: sdk.video(name),
    prompt: 'a street',
    seed: 7,
    // It looks every five seconds by itself.
    poll: { intervalMs: 50 },
    download: async ({ url }) => {
      const response = await fetch(url);
      const type = response.headers.get('content-type') ?? undefined;
      return { data: new Uint8Array(await response.arrayBuffer()), mediaType: type };
    },
  });
  expect(video.mediaType).toBe('video/mp4');
  expect(video.uint8Array.at(-1)).toBe(7);
  expect((await newest()).output).toMatch(/\/film\.mp4$/);
});

test('S10 a video that fails', async () => {
  const call = generateVideo({
    model: sdk.video('test/film'),
    prompt: 'fail',
    poll: { intervalMs: 50 },
    maxRetries: 0,
  });
  await expect(call).rejects.toThrow('the camera is broken');
});
