/** LoRAs of callers, from create to `predict`. Numbers are those of docs/api.md. */
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import Replicate, { type Prediction } from 'replicate';
import { pack } from 'tar-stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { UploadJson } from '../../src/server/wire-upload.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { waitUntil } from '../support/wait-until.ts';

/** Logs what it got. */
const model = `
import { readFile } from 'node:fs/promises';
export default {
  owner: 'test', name: 'styled', version: 'a'.repeat(64), description: 'Reads its LoRA.',
  createdAt: '2026-01-01T00:00:00.000Z',
  inputs: { custom_lora_url: { kind: 'lora', description: 'A style.', optional: true } },
  output: 'file-list', weights: [],
  async *predict({ custom_lora_url: path }, context) {
    context.log(path === undefined ? 'no lora' : 'lora of ' + (await readFile(path)).length + ' bytes at ' + path);
    yield { name: 'out.txt', contentType: 'text/plain', bytes: Buffer.from('done') };
  },
};
`;

describe('a LoRA', () => {
  let folder: string;
  let place: Server;
  let origin: string;
  let server: TestServer;
  let replicate: Replicate;
  let other: Replicate;
  /** As a LoRA begins. */
  const weights = Buffer.concat([Buffer.from([2, 0, 0, 0, 0, 0, 0, 0]), Buffer.from('{}'), Buffer.alloc(3000, 'x')]);
  let archive: Buffer;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'darkroom-styled-'));
    await writeFile(join(folder, 'styled.js'), model);
    await writeFile(join(folder, 'package.json'), '{"type": "module"}');
    const packed = pack();
    packed.entry({ name: 'lora.safetensors' }, weights);
    packed.entry({ name: 'special_params.json' }, '{}');
    packed.finalize();
    archive = await buffer(packed);
    place = createServer((request, response) => {
      if (request.url === '/endless') response.write(weights);
      else response.end(request.url === '/page' ? '<html>' : archive);
    });
    place.listen(0, '127.0.0.1');
    await once(place, 'listening');
    origin = `http://127.0.0.1:${(place.address() as AddressInfo).port}`;
    server = await startTestServer({
      modelFolders: [folder],
      apiTokens: ['r8_one', 'r8_two'],
      loraOrigins: [`${origin}/`],
      fetchPrivate: true,
    });
    const client = (auth: string) => new Replicate({ auth, baseUrl: `${server.origin}/v1` });
    [replicate, other] = [client('r8_one'), client('r8_two')];
  });
  afterAll(async () => {
    await server?.close();
    place?.closeAllConnections();
    place?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const run = (url: string | undefined, client = replicate): Promise<Prediction> =>
    client.predictions.create({ model: 'test/styled', input: { custom_lora_url: url }, wait: true });

  test('D95 is fetched from where the operator allows it, and taken out of its archive', async () => {
    const url = `${origin}/id/trained_model.tar`;
    const first = await run(url);
    expect(first).toMatchObject({ status: 'succeeded', input: { custom_lora_url: url } });
    expect(first.logs).toContain(`Downloading the LoRA from ${new URL(origin).host}.\n`);
    expect(first.logs).toContain(`lora of ${weights.length} bytes`);
    const second = await run(url, other);
    expect(second.logs).not.toContain('Downloading');
    expect(second.logs).toContain(`lora of ${weights.length} bytes`);
  });

  test.each([undefined, '', null])('D95 is left out: %j', async (url) => {
    expect(await run(url as undefined)).toMatchObject({
      status: 'succeeded',
      logs: expect.stringContaining('no lora'),
    });
  });

  test('D95 from elsewhere, or what is none, fails by name', async () => {
    expect(await run('https://evil.example/?https://replicate.delivery/pbxt/a/trained_model.tar')).toMatchObject({
      status: 'failed',
      error: expect.stringMatching(/^custom_lora_url: Custom LoRA URL format is not supported/),
    });
    expect(await run(`${origin}/page`)).toMatchObject({
      status: 'failed',
      error: expect.stringMatching(/^custom_lora_url: this is no LoRA but a web page/),
    });
  });

  test('D95 as an uploaded file is read as it is or out of its archive, of its own account alone', async () => {
    const places = new Set<string>();
    for (const content of [weights, archive]) {
      const { urls } = (await replicate.files.create(content)) as UploadJson;
      const made = await run(urls.get);
      expect(made).toMatchObject({
        status: 'succeeded',
        logs: expect.stringContaining(`lora of ${weights.length} bytes`),
        input: { custom_lora_url: expect.stringMatching(/\/f\/[\w-]+\/custom_lora_url/) },
      });
      await expect(run(urls.get, other)).rejects.toThrow(/422.*custom_lora_url: The uploaded file does not exist/s);
      // Whoever knows the address of the input may use it again.
      const again = await run((made.input as { custom_lora_url: string }).custom_lora_url);
      expect(again.status).toBe('succeeded');
      for (const { logs } of [made, again]) places.add(/ at (.+)/.exec(logs!)![1]!);
    }
    const embedded = await run(`data:;base64,${weights.toString('base64')}`);
    places.add(/ at (.+)/.exec(embedded.logs!)![1]!);
    // Engines know networks by the paths of their weights: the same bytes, however they came, find them loaded.
    expect(places.size).toBe(1);
    await waitUntil('nothing is left of it', () => ![...places].some(existsSync));
  });

  test('D95 a file is not named as the database names files', async () => {
    for (const name of ['darkroom-file:abc/x', 'darkroom-file:../../etc/passwd']) {
      await expect(run(name)).rejects.toThrow(/422.*custom_lora_url/s);
    }
    expect(await run('/etc/passwd')).toMatchObject({
      status: 'failed',
      error: expect.stringContaining('not supported'),
    });
  });

  test('D95 a transfer ends with its prediction', async () => {
    const asked = once(place, 'request');
    const started = await replicate.predictions.create({
      model: 'test/styled',
      input: { custom_lora_url: `${origin}/endless` },
    });
    await asked;
    await replicate.predictions.cancel(started.id);
    const ended = await replicate.wait(started, { interval: 50 });
    expect(ended.status).toBe('canceled');
  });
});
