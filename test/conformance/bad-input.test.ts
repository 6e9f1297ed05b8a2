/** What must not harm the server, on a server that asks for no token. Numbers are those of docs/api.md. */
import { readdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Answer, ask } from '../support/ask.ts';
import { closed, exchange, requestHead } from '../support/http.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.close());

/** Also bodies that are texts. */
const post = (path: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> =>
  ask(server, 'POST', path, { body: JSON.stringify(body), ...headers });

describe('input that the schema refuses', () => {
  const controlnet = '795433b19458d0f4fa172a7ccf93178d2adb1cb8ab2ad6c8fdc33fdbcd49f477';

  test('S11 all faults at once, in the words of the public service', async () => {
    const input = { image: 'https://x.example/a.png', structure: 'lines', num_outputs: 9, scale: '9' };
    const { status, headers, body } = await post('/v1/predictions', { version: controlnet, input });
    expect(status).toBe(422);
    expect(headers.get('content-type')).toBe('application/problem+json');
    const structure =
      'structure must be one of the following: "canny", "depth", "hed", "hough", "normal", "pose", "scribble", "seg"';
    expect(body).toEqual({
      title: 'Input validation failed',
      detail:
        '- input: prompt is required\n' +
        '- input.num_outputs: Must be less than or equal to 4\n' +
        '- input.scale: Invalid type. Expected: number, given: string\n' +
        `- input.structure: ${structure}\n`,
      status: 422,
      invalid_fields: [
        { type: 'required', field: 'input', description: 'prompt is required' },
        { type: 'number_lte', field: 'input.num_outputs', description: 'Must be less than or equal to 4' },
        { type: 'invalid_type', field: 'input.scale', description: 'Invalid type. Expected: number, given: string' },
        { type: 'enum', field: 'input.structure', description: structure },
      ],
    });
  });

  test('S12 faults around the input', async () => {
    const { status, body } = await post('/predictions', { model: 'a/b', input: {} });
    expect(status).toBe(422);
    expect(body.invalid_fields).toEqual([
      { type: 'required', field: '', description: 'version is required' },
      { type: 'additional_property_not_allowed', field: '', description: 'Additional property model is not allowed' },
    ]);
    const onModel = await post('/models/test/echo/predictions', {
      version: 'x',
      webhook: 7,
      webhook_events_filter: 'ended',
    });
    expect(onModel.body.invalid_fields).toEqual([
      { type: 'required', field: '', description: 'input is required' },
      { type: 'invalid_type', field: 'webhook', description: 'Invalid type. Expected: string, given: integer' },
      {
        type: 'enum',
        field: 'webhook_events_filter.0',
        description: '0 must be one of the following: "start", "output", "logs", "completed"',
      },
      { type: 'additional_property_not_allowed', field: '', description: 'Additional property version is not allowed' },
    ]);
  });

  test.each([[[]], ['text'], [7], [null], [true]])('S12 a body that is %j', async (body) => {
    const answer = await post('/predictions', body);
    expect(answer.status).toBe(422);
    expect(answer.body.invalid_fields.length).toBeGreaterThan(0);
  });

  test('S12 a hundred thousand unknown members are answered briefly', async () => {
    const body = Object.fromEntries(Array.from({ length: 100_000 }, (_, index) => [`${'k'.repeat(20)}${index}`, 1]));
    const answer = await post('/predictions', { ...body, version: controlnet, input: {} });
    expect(answer.status).toBe(422);
    expect(answer.body.invalid_fields).toHaveLength(20);
  });

  test('S16 a malformed data URL is refused, and nothing is stored for it', async () => {
    const before = await storedFiles();
    for (const image of ['data:image/png;base64', 'data:image/png;base64,', 'data:image/png;base64,AAA!', 'data:,%x']) {
      const { status, body } = await post('/models/test/picture/predictions', { input: { image } });
      expect(status).toBe(422);
      expect(body.invalid_fields).toEqual([
        { type: 'format', field: 'input.image', description: expect.stringMatching(/^Cannot be read: the data URL /) },
      ]);
    }
    expect(await storedFiles()).toBe(before);
  });

  test('D94 an input is long by its files alone', async () => {
    const create = (input: object) => post('/models/test/picture/predictions', { input });
    const image = `data:image/png;base64,${Buffer.alloc(300_000).toString('base64')}`;
    const before = await storedFiles();
    const { status, body } = await create({ image, prompt: 'x'.repeat(300_000) });
    expect(status).toBe(422);
    expect(body.invalid_fields).toEqual([expect.objectContaining({ type: 'string_lte', field: 'input' })]);
    expect(await storedFiles()).toBe(before);
    expect((await create({ image })).status).toBe(201);
  });

  test('D9 text that no database keeps', async () => {
    for (const text of ['a\0b', '\ud800']) {
      const { status, body } = await post('/models/test/echo/predictions', { input: { text } });
      expect(status).toBe(422);
      expect(body.invalid_fields[0].field).toBe('input.text');
    }
  });

  test('a prompt of 100,000 characters runs', async () => {
    const { status, input, logs } = (
      await post('/models/test/picture/predictions', { input: { prompt: 'wörd '.repeat(20_000) } }, { prefer: 'wait' })
    ).body;
    expect(status).toBe('succeeded');
    expect(input.prompt).toHaveLength(100_000);
    expect(logs).toContain('prompt of 100000 characters');
  });
});

describe('bodies that are too large', () => {
  const gigabyte = 2 ** 30;

  /** Sends zeros until the server has had enough, and returns how many went out and what came back. */
  async function upload(head: string): Promise<{ sent: number; answer: string }> {
    const socket = connect(server.port, '127.0.0.1');
    let answer = '';
    let sent = 0;
    socket.on('data', (chunk) => {
      answer += chunk;
    });
    socket.on('error', () => {});
    const ended = closed(socket);
    socket.write(head);
    const chunk = Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(0x10000, ' '), Buffer.from('\r\n')]);
    while (sent < gigabyte && !answer.endsWith('}')) {
      sent += chunk.length;
      if (!socket.write(chunk)) {
        await Promise.race([new Promise((resolve) => socket.once('drain', resolve)), ended]);
      }
    }
    await ended;
    return { sent, answer };
  }

  test.each([
    ['announced', { 'content-length': gigabyte }],
    ['in chunks', { 'transfer-encoding': 'chunked' }],
  ])('S30 a gigabyte, %s, is refused early and without being kept in memory', async (_, headers) => {
    const before = process.memoryUsage().rss;
    let peak = before;
    const watch = setInterval(() => {
      peak = Math.max(peak, process.memoryUsage().rss);
    }, 5);
    const head = requestHead('POST /predictions', { 'content-type': 'application/json', ...headers });
    const { sent, answer } = await upload(head);
    clearInterval(watch);
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    expect(answer).toMatch(/"title":"Payload too large".*DARKROOM_BODY_MAX_BYTES.*"status":413/);
    expect(sent).toBeLessThan(gigabyte / 4);
    expect(peak - before).toBeLessThan(200 * 2 ** 20);
    expect((await fetch(`${server.origin}/healthz`)).status).toBe(200);
  });

  test('S30 a client that asks before it sends is told before it sends', async () => {
    const head = requestHead('POST /predictions', {
      'content-type': 'application/json',
      'content-length': gigabyte,
      expect: '100-continue',
    });
    const answer = await exchange(server.port, head);
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
  });

  test('S30 an ordinary client reads the answer', async () => {
    const response = await fetch(`${server.origin}/predictions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: Buffer.alloc(30 * 2 ** 20, ' '),
    });
    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({ status: 413 });
  });

  test('S16 a data URL close to the limit is taken', async () => {
    const png = Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), Buffer.alloc(7 * 2 ** 20)]);
    const input = { image: `data:image/png;base64,${png.toString('base64')}` };
    const { status, body } = await post('/models/test/echo/predictions', { input }, { prefer: 'wait' });
    expect(status).toBe(201);
    expect(body).toMatchObject({ status: 'succeeded', logs: expect.stringContaining(`image of ${png.length} bytes`) });
    expect(JSON.stringify(body).length).toBeLessThan(3000);
  });
});

describe('without a token', () => {
  test('D3 everybody on this machine is one account, whatever they send', async () => {
    const { body } = await post('/predictions', { version: 'test/echo', input: {} });
    for (const authorization of ['Bearer anything', 'nonsense', '']) {
      const response = await fetch(`${server.origin}/predictions/${body.id}`, { headers: { authorization } });
      expect(response.status).toBe(200);
    }
  });

  test('D3 a name that was rebound to this machine is refused', async () => {
    const answer = await exchange(server.port, requestHead('GET /predictions', { host: 'evil.example' }));
    expect(answer).toMatch(/^HTTP\/1\.1 403 .*darkroom token create/s);
    const forwarded = requestHead('GET /predictions', { host: 'evil.example', 'x-forwarded-host': 'localhost' });
    expect(await exchange(server.port, forwarded)).toMatch(/^HTTP\/1\.1 403 /);
  });

  test('D3 a web page of another site creates nothing', async () => {
    const body = '{"version":"test/echo","input":{}}';
    for (const origin of ['https://evil.example', 'null']) {
      const head = requestHead('POST /predictions', { origin, 'content-length': body.length });
      expect(await exchange(server.port, head + body)).toMatch(/^HTTP\/1\.1 403 /);
    }
  });
});

async function storedFiles(): Promise<number> {
  const files = join(server.home, 'files');
  const entries = await readdir(files, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isFile()).length;
}
