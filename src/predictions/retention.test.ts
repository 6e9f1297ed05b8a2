import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { databaseKinds } from '../../test/support/databases.ts';
import { type HostSetup, setUpHost } from '../../test/support/host-setup.ts';
import { waitUntil } from '../../test/support/wait-until.ts';
import { createLog } from '../base/log.ts';
import { formatFileRef, parseFileRef } from '../storage/file-ref.ts';
import { removeOldData, startRetention } from './retention.ts';

describe.each(databaseKinds())('retention on %s', (kind) => {
  let setup: HostSetup;
  beforeAll(async () => {
    setup = await setUpHost(kind);
    await setup.startHost();
  });
  afterAll(async () => {
    await setup?.close();
  });

  it('removes input, output, logs and files of what is old, and nothing else', async () => {
    const file = await setup.files.put('in.bin', Buffer.from('in'));
    const input = { image: formatFileRef(file) };
    const old = await setup.end((await setup.create('test/echo', input, { inputFiles: [file] })).id);
    const young = await setup.end((await setup.create('test/echo', {})).id);
    await sql`update predictions set created_at = created_at - interval '2 hours',
      started_at = started_at - interval '2 hours',
      completed_at = completed_at - interval '2 hours' where id = ${old.id}`.execute(setup.database.kysely);

    expect(await removeOldData(setup, 3_600_000)).toBe(1);
    expect(await removeOldData(setup, 3_600_000)).toBe(0);
    // What was read a moment ago is remembered until the message of its removal is there.
    const after = await setup.until(old.id, 'its removal is seen', ({ dataRemoved }) => dataRemoved);
    expect(after).toMatchObject({ input: {}, output: null, logs: '', dataRemoved: true, status: 'succeeded' });
    expect(after.metrics).toEqual(old.metrics);
    const output = parseFileRef((old.output as string[])[0])!;
    for (const { key } of [file, output]) {
      expect(await setup.predictions.file(key)).toBeUndefined();
      expect(setup.storedKeys()).not.toContain(key);
    }
    expect(await setup.predictions.get('ada', young.id)).toEqual(young);
    expect(setup.storedKeys()).toEqual([parseFileRef((young.output as string[])[0])!.key]);
  });

  it('works by itself, and keeps everything unless it is asked', async () => {
    const { id } = await setup.end((await setup.create('test/echo', {})).id);
    const log = createLog('silent');
    await startRetention({ ...setup, retentionMs: undefined, log }).close();
    expect((await setup.predictions.get('ada', id))?.dataRemoved).toBe(false);
    const retention = startRetention({ ...setup, retentionMs: 1, log });
    await waitUntil('the data is gone', async () => (await setup.predictions.get('ada', id))?.dataRemoved);
    await retention.close();
  });
});
