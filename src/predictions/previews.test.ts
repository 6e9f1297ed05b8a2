import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { databaseKinds, makePlace, type TestPlace } from '../../test/support/databases.ts';
import { waitUntil } from '../../test/support/wait-until.ts';
import { createLog } from '../base/log.ts';
import { openDatabase } from '../database/connect.ts';
import type { Database } from '../database/database.ts';
import { channels } from './channels.ts';
import { createPreviews, type Previews, showPreview } from './previews.ts';

describe.each(databaseKinds())('previews on %s', (kind) => {
  let place: TestPlace;
  let database: Database;
  let previews: Previews;

  beforeAll(async () => {
    place = await makePlace(kind);
    database = await openDatabase(place, createLog('silent'));
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    previews = createPreviews(database);
  });
  afterAll(async () => {
    previews?.close();
    vi.useRealTimers();
    await database?.close();
    await place?.remove();
  });

  it('says what is watched, again and again, while it is', async () => {
    const watched: string[] = [];
    const stopListening = database.listen(channels.watched, (id) => watched.push(id));
    await waitUntil('messages arrive', () => {
      database.notify(channels.watched, 'probe');
      return watched.length > 0;
    });
    const times = (watchedId: string) => watched.filter((id) => id === watchedId).length;
    const stops = [previews.watch('one', () => {}), previews.watch('one', () => {})];
    await waitUntil('it is said at once', () => times('one') === 1);
    vi.advanceTimersByTime(1_000);
    await waitUntil('it is said again', () => times('one') === 2);
    for (const stop of stops) stop();
    const other = previews.watch('two', () => {});
    await waitUntil('another is watched', () => times('two') === 1);
    vi.advanceTimersByTime(1_000);
    await waitUntil('it is said again', () => times('two') === 2);
    expect(times('one')).toBe(2);
    other();
    stopListening();
  });

  it('brings pictures to all who watch that prediction, and to nobody else', async () => {
    const heard: string[] = [];
    const stops = ['one', 'one', 'two'].map((id, index) =>
      previews.watch(id, (picture) => heard.push(`${index} ${picture}`)),
    );
    showPreview(database, 'one', 'data:a');
    showPreview(database, 'none', 'data:b');
    showPreview(database, 'one', `data:${'x'.repeat(8_000)}`);
    showPreview(database, 'two', 'data:c');
    await waitUntil('the last has arrived', () => heard.includes('2 data:c'));
    expect(heard.sort()).toEqual(['0 data:a', '1 data:a', '2 data:c']);
    for (const stop of stops) stop();
  });
});
