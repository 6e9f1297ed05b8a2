/** Previews in event streams. Numbers are those of docs/api.md. */
import Replicate, { type Prediction } from 'replicate';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type EventReader, type ReadEvent, readEvents } from '../support/event-source.ts';
import { makeGate } from '../support/gate.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let replicate: Replicate;
beforeAll(async () => {
  server = await startTestServer({ apiTokens: ['r8_previews'] });
  replicate = new Replicate({ auth: 'r8_previews', baseUrl: `${server.origin}/v1` });
});
afterAll(() => server?.close());

const create = async (model: string, input: object): Promise<Prediction & { urls: { stream: string } }> => {
  const prediction = await replicate.predictions.create({ model, input });
  return prediction as typeof prediction & { urls: { stream: string } };
};

/** Reads until so many previews have come. */
async function watchUntil(stream: EventReader, previews: number): Promise<ReadEvent[]> {
  const events: ReadEvent[] = [];
  while (events.length < previews) {
    const event = await stream.next();
    expect(event?.event).toBe('preview');
    events.push(event!);
  }
  return events;
}

test('D53 previews for those who ask, and nobody draws for others', async () => {
  const quiet = await create('test/echo', { steps: 10, step_ms: 50 });
  const none = await (await readEvents(`${quiet.urls.stream}?logs=true`)).rest();
  expect(none.map(({ event }) => event)).not.toContain('preview');
  expect((await replicate.predictions.get(quiet.id)).logs).not.toContain('drawn');

  const gate = makeGate(server);
  const { id, urls } = await create('test/echo', gate.running);
  const [watched, other] = await Promise.all([readEvents(`${urls.stream}?previews=true`), readEvents(urls.stream)]);
  const events = await watchUntil(watched, 4);
  gate.open();
  events.push(...(await watched.rest()));
  const previews = events.filter(({ event }) => event === 'preview');
  const { logs, metrics } = await replicate.predictions.get(id);
  expect(logs).toContain('drawn');
  // Not every step is shown: one in 0.4 s.
  expect(previews.length).toBeLessThanOrEqual(metrics!.predict_time! / 0.4 + 1);
  for (const { data, id } of previews) {
    expect(id).toBe('');
    const [, base64] = /^data:image\/webp;base64,(.+)$/.exec(data)!;
    expect(await sharp(Buffer.from(base64!, 'base64')).metadata()).toMatchObject({
      format: 'webp',
      width: 2,
      height: 1,
    });
  }
  const kept = events.filter(({ event }) => event !== 'preview');
  expect(kept.map(({ event }) => event)).toEqual(['output', 'done']);
  expect(await other.rest()).toEqual(kept);
});

test.runIf(process.env.DARKROOM_TEST_DATABASE !== 'PostgreSQL')(
  'D53 a real sampler shows its picture',
  { timeout: 120_000 },
  async () => {
    const image = await sharp({ create: { width: 96, height: 64, channels: 3, background: '#a33' } })
      .png()
      .toBuffer();
    const { id, urls } = await create('rossjillian/controlnet', {
      image: `data:image/png;base64,${image.toString('base64')}`,
      prompt: 'a wall',
      structure: 'canny',
      image_resolution: 256,
      steps: 100,
    });
    const stream = await readEvents(`${urls.stream}?previews=true`);
    const [preview] = await watchUntil(stream, 1);
    // Seen once, it has done what it was made for.
    await replicate.predictions.cancel(id);
    const bytes = Buffer.from(preview!.data.split(',')[1]!, 'base64');
    expect(await sharp(bytes).metadata()).toMatchObject({ format: 'webp', width: 48, height: 32 });
    expect((await stream.rest()).at(-1)?.event).toBe('done');
  },
);
