/** Seeds that no number of JavaScript holds, in bodies as they come over the wire. Numbers are those of docs/api.md. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../support/server.ts';

const seed = '10788741199826055526';
let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ concurrency: 0 });
});
afterAll(() => server?.close());

/** @param input as text: `JSON.stringify` has no number for such seeds */
async function create(input: string) {
  const response = await fetch(`${server.origin}/v1/models/lucataco/animate-diff/predictions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: `{"input": ${input}}`,
  });
  // biome-ignore lint/suspicious/noExplicitAny: tests reach into JSON of every shape
  const body = (await response.json()) as any;
  if (body.urls) await fetch(body.urls.cancel, { method: 'POST' });
  return { status: response.status, body };
}

test.each([
  [`{"seed": ${seed}}`, { seed }],
  [`{"seed": "${seed}"}`, { seed }],
  ['{"seed": -9223372036854775808}', { seed: '-9223372036854775808' }],
  ['{"seed": 9007199254740993}', { seed: '9007199254740993' }],
  ['{"seed": 9007199254740991}', { seed: 9007199254740991 }],
  ['{"seed": "7"}', { seed: 7 }],
  ['{"seed": 1.5e19}', { seed: '15000000000000000000' }],
  // Digits in texts, escapes in front of quotes, numbers of other kinds.
  [
    `{"prompt": "a \\"seed\\": ${seed} \\\\", "seed": ${seed}, "guidance_scale": 7.12345678901234567890123}`,
    { prompt: `a "seed": ${seed} \\`, seed, guidance_scale: 7.123456789012345 },
  ],
])('D27 %s comes back without loss', async (sent, kept) => {
  const { status, body } = await create(sent);
  expect([status, body.input]).toEqual([201, kept]);
});

test.each([
  ['{"steps": 10788741199826055526}', 'Must be less than or equal to 100'],
  ['{"steps": "7"}', 'Invalid type. Expected: integer, given: string'],
  ['{"seed": 1.5}', 'Invalid type. Expected: integer, given: number'],
  [`{"prompt": ${seed}}`, 'Invalid type. Expected: string, given: integer'],
])('S13 %s is refused as before', async (sent, description) => {
  const { status, body } = await create(sent);
  expect([status, body.invalid_fields[0].description]).toEqual([422, description]);
});

test('D27 a body of ten megabytes with such a seed is read in a moment', async () => {
  const text = '\\n"7'.repeat(1_500_000);
  const { status, body } = await create(`{"unknown": ${JSON.stringify(text)}, "seed": ${seed}}`);
  expect([status, body.input.seed]).toEqual([201, seed]);
});
