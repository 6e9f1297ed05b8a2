import { existsSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { databaseKinds } from '../../test/support/databases.ts';
import { endless, makeGate } from '../../test/support/gate.ts';
import { type HostSetup, setUpHost } from '../../test/support/host-setup.ts';
import { waitUntil } from '../../test/support/wait-until.ts';
import { formatFileRef, parseFileRef } from '../storage/file-ref.ts';
import type { Host } from './host.ts';
import { longestLog } from './log-writer.ts';

describe.each(databaseKinds())('worker host on %s', (kind) => {
  let setup: HostSetup;

  beforeAll(async () => {
    setup = await setUpHost(kind);
  });
  afterAll(async () => {
    await setup?.close();
  });

  const textOf = async (reference: unknown) => readFile(await setup.files.path(parseFileRef(reference)!.key), 'utf8');

  describe('with the usual settings', () => {
    let host: Host;
    beforeAll(async () => {
      host = await setup.startHost({ fetchPrivate: true });
    });
    afterAll(() => host?.close(0));

    it('runs a prediction: defaults, logs, progress, output files, times', async () => {
      const { id } = await setup.create('test/echo', { text: 'photo', num_outputs: 3, steps: null });
      const ended = await setup.end(id);
      expect(ended).toMatchObject({ status: 'succeeded', error: null, attempt: 1, interruptions: 0 });
      expect(ended.logs).toMatch(/^steps 2\n 50%\|.*\| 1\/2 .*\n100%\|.*\| 2\/2 .*\n$/);
      expect(ended.input).toEqual({ text: 'photo', num_outputs: 3, steps: null });
      const outputs = ended.output as string[];
      expect(outputs.map((output) => parseFileRef(output)?.name)).toEqual(['out-0.txt', 'out-1.txt', 'out-2.txt']);
      for (const [index, output] of outputs.entries()) {
        expect(await textOf(output)).toBe(`photo ${index}`);
        expect(await setup.predictions.file(parseFileRef(output)!.key)).toMatchObject({ size: 7 });
      }
      const { predict_time: predictTime, total_time: totalTime } = ended.metrics;
      expect(predictTime).toBeGreaterThan(0.009);
      expect(totalTime).toBeGreaterThanOrEqual(predictTime!);
    });

    it('gives an empty list where the model leaves every file out', async () => {
      const ended = await setup.end((await setup.create('test/echo', { num_outputs: 0 })).id);
      expect(ended).toMatchObject({ status: 'succeeded', output: [] });
    });

    it('gives one reference, not a list, where the model makes one file', async () => {
      const ended = await setup.end((await setup.create('test/single', {})).id);
      expect(await textOf(ended.output)).toBe('only one');
    });

    it('hands the engine uploaded, fetched and embedded files as paths', async () => {
      const bytes = Buffer.alloc(1234, 7);
      const server = createServer((_, reply) => reply.end(bytes)).listen(0, '127.0.0.1');
      await waitUntil('the server listens', () => server.listening);
      const file = await setup.files.put('in.bin', bytes);
      for (const [image, inputFiles] of [
        [`http://127.0.0.1:${(server.address() as AddressInfo).port}/a.png`, []],
        [`data:;base64,${bytes.toString('base64')}`, []],
        [formatFileRef(file), [file]],
      ] as const) {
        const ended = await setup.end((await setup.create('test/echo', { image }, { inputFiles })).id);
        expect(ended).toMatchObject({ status: 'succeeded' });
        expect(ended.logs).toContain('image of 1234 bytes\n');
      }
      server.close();
      const scratch = join(setup.home, 'scratch', host.id);
      await waitUntil('nothing is left of the attempts', () => readdirSync(scratch).length === 0);
    });

    it('fails with a message that names the input when its file cannot be had', async () => {
      for (const [image, message] of [
        ['http://127.0.0.1:9/a.png', /^image: http:\/\/127\.0\.0\.1:9\/a\.png /],
        ['data:image/png;base64,%%%', /^image: the data URL/],
        ['ftp://example.org/a.png', /^image: /],
        [formatFileRef({ key: 'k'.repeat(32), name: 'cat.png' }), /^image: the file cat\.png is no longer stored/],
      ] as const) {
        const ended = await setup.end((await setup.create('test/echo', { image })).id);
        expect(ended).toMatchObject({ status: 'failed', output: null });
        expect(ended.error).toMatch(message);
      }
    });

    it('fails a prediction whose model throws or is not there', async () => {
      const broken = await setup.end((await setup.create('test/troubled', { trouble: 'throw' })).id);
      expect(broken).toMatchObject({ status: 'failed', error: 'the model broke', interruptions: 0 });
      const unknown = await setup.end((await setup.create('test/nothing', {})).id);
      expect(unknown).toMatchObject({ status: 'failed', error: 'This worker has no model test/nothing.' });
    });

    it('cancels between two steps, and the engine takes the next prediction', async () => {
      const { id } = await setup.create('test/echo', { steps: endless, step_ms: 40 });
      await setup.until(id, 'it makes progress', ({ logs }) => logs.includes(`| 3/${endless}`));
      expect((await setup.predictions.cancel('ada', id))?.cancelRequestedAt).toBeInstanceOf(Date);
      const ended = await setup.end(id);
      expect(ended).toMatchObject({ status: 'canceled', error: null, output: null, interruptions: 0 });
      expect(ended.metrics.predict_time).toBeGreaterThan(0.1);
      expect((await setup.predictions.cancel('ada', id))?.status).toBe('canceled');
      expect((await setup.end((await setup.create('test/echo', {})).id)).status).toBe('succeeded');
    });

    it('ends an engine that does not listen to a cancel', async () => {
      const { id } = await setup.create('test/troubled', { trouble: 'busy' });
      await setup.until(id, 'the first output is there', ({ output }) => output !== null);
      await setup.predictions.cancel('ada', id);
      expect(await setup.end(id)).toMatchObject({ status: 'canceled', error: null, interruptions: 0 });
      expect((await setup.end((await setup.create('test/echo', {})).id)).status).toBe('succeeded');
    });

    it('stops fetching the input when the prediction is canceled', async () => {
      const server = createServer(() => {}).listen(0, '127.0.0.1');
      await waitUntil('the server listens', () => server.listening);
      const image = `http://127.0.0.1:${(server.address() as AddressInfo).port}/never`;
      const { id } = await setup.create('test/echo', { image });
      await setup.until(id, 'it runs', ({ status }) => status === 'processing');
      await setup.predictions.cancel('ada', id);
      expect(await setup.end(id)).toMatchObject({ status: 'canceled' });
      server.closeAllConnections();
      server.close();
    });

    it.each(['exit', 'kill'])('runs a prediction again when its engine dies by %s', async (trouble) => {
      const counter = join(setup.home, `counter-${kind}-${trouble}`);
      const gate = makeGate(setup);
      const { id } = await setup.create('test/troubled', { trouble, times: 1, counter, until: gate.path });
      // A process that is killed takes with it what it has not said yet.
      await setup.until(id, 'its first line is there', ({ logs }) => logs !== '');
      gate.open();
      const ended = await setup.end(id);
      expect(ended).toMatchObject({ status: 'succeeded', attempt: 2, interruptions: 1, error: null });
      expect(ended.logs).toMatch(
        /^trouble \w+\n--- engine process ended unexpectedly \(.*\); starting again, attempt 2 of 3 ---\ntrouble \w+\n$/,
      );
      expect(ended.logs).toContain(trouble === 'kill' ? '(signal SIGKILL)' : '(exit code 1)');
      const outputs = ended.output as string[];
      expect(await Promise.all(outputs.map(textOf))).toEqual(['well']);
    });

    it('cuts a log without end', async () => {
      const { id } = await setup.create('test/troubled', { trouble: 'flood' });
      const ended = await setup.end(id);
      expect(ended).toMatchObject({ status: 'succeeded', attempt: 1 });
      expect(ended.logs).toMatch(/--- the log is longer than 1 MiB; the rest is left out ---\n$/);
      expect(ended.logs.length).toBeLessThan(longestLog + 100);
    });
  });

  describe('with settings and moments of its own', () => {
    let host: Host | undefined;
    afterEach(async () => {
      await host?.close(0);
      host = undefined;
    });

    it('never starts what was canceled while it waited', async () => {
      const counter = join(setup.home, `never-${kind}`);
      const { id } = await setup.create('test/troubled', { trouble: 'throw', counter });
      expect((await setup.predictions.cancel('ada', id))?.status).toBe('canceled');
      host = await setup.startHost();
      await setup.end((await setup.create('test/echo', {})).id);
      expect(await setup.predictions.get('ada', id)).toMatchObject({ status: 'canceled', attempt: 0, logs: '' });
      expect(existsSync(counter)).toBe(false);
    });

    it('fails what runs too long', async () => {
      host = await setup.startHost({ runTimeoutMs: 300 });
      for (const [model, input] of [
        ['test/echo', { steps: endless, step_ms: 20 }],
        ['test/troubled', { trouble: 'busy' }],
      ] as const) {
        const ended = await setup.end((await setup.create(model, input)).id);
        expect(ended).toMatchObject({ status: 'failed', interruptions: 0 });
        expect(ended.error).toBe('The prediction ran longer than 0.3 s and was stopped.');
      }
    });

    it('runs a prediction again when its output cannot be stored', async () => {
      let faults = 0;
      const put: typeof setup.files.put = async (name, content) => {
        if (faults++ < 2) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
        return setup.files.put(name, content);
      };
      host = await setup.startHost({}, { files: { ...setup.files, put } });
      const ended = await setup.end((await setup.create('test/echo', {})).id);
      expect(ended).toMatchObject({ status: 'succeeded', interruptions: 2 });
      expect(ended.logs).toContain('--- worker could not carry it out; starting again, attempt 3 of 3 ---\n');
      expect(ended.output).toHaveLength(1);
    });

    it('gives up after the configured number of attempts', async () => {
      host = await setup.startHost({ maxAttempts: 2 });
      const ended = await setup.end((await setup.create('test/troubled', { trouble: 'kill' })).id);
      expect(ended).toMatchObject({
        status: 'failed',
        attempt: 2,
        interruptions: 2,
        error: 'Prediction interrupted; please retry (code: PA)',
      });
      expect(ended.logs).toContain('giving up after 2 attempts ---\n');
    });

    it('runs in the order of creation, as many at once as it may', async () => {
      const create = async (input: Record<string, unknown>) => (await setup.create('test/echo', input)).id;
      const long = [await create({ steps: endless, step_ms: 20 }), await create({ steps: endless, step_ms: 20 })];
      const short: string[] = [];
      for (let index = 0; index < 6; index++) short.push(await create({ step_ms: 30 }));
      host = await setup.startHost({ concurrency: 2 });
      for (const id of long) await setup.until(id, 'it runs', ({ status }) => status === 'processing');
      for (const id of short) expect((await setup.predictions.get('ada', id))?.status).toBe('starting');
      // One engine stays busy, so that the others run one after the other.
      await setup.predictions.cancel('ada', long[0]!);
      const ended = await Promise.all(short.map(setup.end));
      for (const [index, { startedAt }] of ended.entries()) {
        if (index > 0) expect(startedAt!.getTime()).toBeGreaterThanOrEqual(ended[index - 1]!.completedAt!.getTime());
      }
      expect((await setup.predictions.get('ada', long[1]!))?.status).toBe('processing');
      await setup.predictions.cancel('ada', long[1]!);
      await setup.end(long[1]!);
    });

    it('gives a running prediction back when it closes, without counting the start', async () => {
      host = await setup.startHost();
      const gate = makeGate(setup);
      const { id } = await setup.create('test/echo', { ...gate.running, num_outputs: 2 });
      await setup.until(id, 'it makes progress', ({ logs }) => logs.includes(`| 3/${endless}`));
      await host.close(0);
      expect(await setup.predictions.get('ada', id)).toMatchObject({
        status: 'starting',
        interruptions: 0,
        attempt: 1,
      });
      gate.open();
      host = await setup.startHost({ maxAttempts: 1 });
      const ended = await setup.end(id);
      expect(ended).toMatchObject({ status: 'succeeded', attempt: 2, interruptions: 0 });
      expect(ended.output).toHaveLength(2);
    });

    it('gives back what it was about to run when it closes', async () => {
      const { tickets } = setup.predictions;
      const gate = makeGate(setup);
      let isClaiming = false;
      const take: typeof tickets.take = async (transaction) => {
        const ticket = await tickets.take(transaction);
        if (ticket) {
          isClaiming = true;
          await waitUntil('it is closing', () => existsSync(gate.path));
        }
        return ticket;
      };
      host = await setup.startHost({}, { predictions: { ...setup.predictions, tickets: { ...tickets, take } } });
      const { id } = await setup.create('test/echo', { steps: endless, step_ms: 20 });
      await waitUntil('it is claimed', () => isClaiming);
      const closing = host.close(0);
      setTimeout(gate.open, 50);
      await closing;
      expect(await setup.predictions.get('ada', id)).toMatchObject({ status: 'starting', interruptions: 0 });
      expect((await setup.predictions.cancel('ada', id))?.status).toBe('canceled');
    });

    it('lets a running prediction finish when it closes with time to spare', async () => {
      host = await setup.startHost();
      const gate = makeGate(setup);
      const { id } = await setup.create('test/echo', gate.running);
      await setup.until(id, 'it runs', ({ status }) => status === 'processing');
      const closing = host.close(60_000);
      gate.open();
      await closing;
      expect(await setup.predictions.get('ada', id)).toMatchObject({ status: 'succeeded', attempt: 1 });
    });
  });

  it('keeps as many stored files as rows', async () => {
    const rows = await setup.database.kysely.selectFrom('files').select('key').execute();
    expect(setup.storedKeys().sort()).toEqual(rows.map(({ key }) => key).sort());
    const tickets = await setup.database.kysely.transaction().execute((t) => setup.predictions.tickets.take(t));
    expect(tickets).toBeUndefined();
  });
});
