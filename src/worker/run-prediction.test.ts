import { mkdtempSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { readSettings } from '../base/settings.ts';
import { defineModel } from '../catalog/model.ts';
import { createResidency } from '../runtime/residency.ts';
import { createPreviews } from './preview.ts';
import type { EngineMessage } from './protocol.ts';
import { runPrediction } from './run-prediction.ts';

const outputFolder = mkdtempSync(join(tmpdir(), 'darkroom-run-'));
const missing = join(outputFolder, 'secret', 'file');
afterAll(() => rm(outputFolder, { recursive: true }));

test('of an error of the operating system the caller learns what, and the log where', async () => {
  const written = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  const sent = await messagesOf(async () => void (await readFile(missing)));
  const log = written.mock.calls.join('');
  written.mockRestore();
  const error = "The engine could not go on: ENOENT from open. The server's log says where.";
  expect(sent).toEqual([{ type: 'failed', id: 'p', cause: 'engine', error }]);
  expect(log).toContain(missing);
});

/** What an engine reports of a model that does this. */
async function messagesOf(work: () => Promise<void>): Promise<EngineMessage[]> {
  const sent: EngineMessage[] = [];
  const model = defineModel({
    ...{ owner: 'o', name: 'm', version: 'a'.repeat(64), createdAt: '2024-01-01T00:00:00.000Z', description: 'd' },
    ...{ inputs: {}, output: 'file-list', weights: [] },
    async *predict() {
      await work();
      yield { name: 'out.txt', contentType: 'text/plain', bytes: Buffer.from('done') };
    },
  });
  await runPrediction(
    { type: 'predict', id: 'p', model: 'o/m', input: {}, outputFolder },
    {
      settings: readSettings({}),
      models: [model],
      residency: createResidency({ device: 'cpu' }),
      signal: { aborted: false, throwIfAborted: () => {} },
      previews: createPreviews((message) => sent.push(message)),
      send: (message) => sent.push(message),
    },
  );
  return sent;
}
