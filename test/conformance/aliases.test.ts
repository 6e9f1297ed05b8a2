/** Inputs under another name. Numbers are those of docs/api.md. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createReplicate } from '@ai-sdk/replicate';
import { generateImage } from 'ai';
import Replicate from 'replicate';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { startTestServer } from '../support/server.ts';

/** Hands back the picture that it is given. */
const portrait = `
import { readFile } from 'node:fs/promises';
export default {
  owner: 'test', name: 'portrait', version: '7'.repeat(64), description: 'Hands back its picture.',
  createdAt: '2026-04-01T00:00:00.000Z', output: 'file-list', weights: [],
  inputs: { input_image: { kind: 'image', description: 'A face.', alias: 'image' } },
  async *predict(input) {
    yield { name: 'out-0.png', contentType: 'image/png', bytes: await readFile(input.input_image) };
  },
};
`;

test('D93 the AI SDK sends its picture as `image`', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'darkroom-models-'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(folder, 'portrait.js'), portrait);
  const server = await startTestServer({ apiTokens: ['r8_sdk'], modelFolders: [folder] });
  try {
    const sdk = createReplicate({ apiToken: 'r8_sdk', baseURL: `${server.origin}/v1` });
    const face = await sharp({ create: { width: 9, height: 5, channels: 3, background: 'red' } })
      .png()
      .toBuffer();
    const { image } = await generateImage({ model: sdk.image('test/portrait'), prompt: { text: 'x', images: [face] } });
    expect(Buffer.from(image.uint8Array)).toEqual(face);
    const { results } = await new Replicate({ auth: 'r8_sdk', baseUrl: server.origin }).predictions.list();
    expect(Object.keys(results[0]!.input)).toEqual(['input_image']);
  } finally {
    await server.close();
    rmSync(folder, { recursive: true });
  }
});
