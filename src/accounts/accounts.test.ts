import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { databaseKinds, makePlace, type TestPlace } from '../../test/support/databases.ts';
import { isPostgresAvailable } from '../../test/support/postgres.ts';
import { waitUntil } from '../../test/support/wait-until.ts';
import { InputError } from '../base/errors.ts';
import { createLog } from '../base/log.ts';
import { openDatabase } from '../database/connect.ts';
import type { Database } from '../database/database.ts';
import { type Accounts, openAccounts } from './accounts.ts';
import { alwaysNeedsTokens, type GateSettings, rememberedMs } from './gate.ts';

const log = createLog('silent');
const open: GateSettings = { auth: 'auto', apiTokens: [], host: '127.0.0.1', publicUrl: undefined };

describe.each(databaseKinds())('accounts on %s', (kind) => {
  let place: TestPlace;
  let database: Database;
  let accounts: Accounts;
  beforeAll(async () => {
    place = await makePlace(kind);
    database = await openDatabase(place, log);
  });
  afterAll(async () => {
    await database?.close();
    await place?.remove();
  });
  beforeEach(async () => {
    for (const table of ['tokens', 'accounts', 'secrets'] as const) await database.kysely.deleteFrom(table).execute();
    accounts = await openAccounts(database, open, log);
  });
  afterEach(() => {
    accounts.close();
    vi.restoreAllMocks();
  });

  /** From now on time stands still but for this. */
  function later(ms: number): void {
    const now = performance.now();
    vi.spyOn(performance, 'now').mockReturnValue(now + ms);
  }
  /** Waits for the messages about tokens that are on their way: from PostgreSQL they come back a little later. */
  async function hearMessages(): Promise<void> {
    let heard = false;
    const stop = database.listen('darkroom_tests', () => {
      heard = true;
    });
    await database.listening();
    database.notify('darkroom_tests', '');
    await waitUntil('messages are heard', () => heard);
    stop();
  }

  it('lets everybody in until there is a token, and nobody without one after that, whatever is revoked', async () => {
    expect(await accounts.isOpen()).toBe(true);
    const { info } = await accounts.createToken({ name: 'laptop', account: 'local' });
    expect(await accounts.isOpen()).toBe(false);
    await accounts.revokeToken(info.id);
    expect(await accounts.isOpen()).toBe(false);
  });

  it('gives a token once and keeps a digest', async () => {
    const { token, info } = await accounts.createToken({ name: 'web shop', account: 'shop' });
    expect(token).toMatch(/^drk_[0-9a-f]{40}$/);
    expect(info).toMatchObject({ name: 'web shop', account: 'shop', lastUsedAt: null, revokedAt: null });
    const rows = await database.kysely.selectFrom('tokens').selectAll().execute();
    expect(rows).toHaveLength(1);
    expect(JSON.stringify(rows)).not.toContain(token.slice(4));
    expect((await accounts.account((await accounts.accountOf(token))!))?.username).toBe('shop');
    expect(await accounts.accountOf(`${token}0`)).toBeUndefined();
    expect(await accounts.accountOf('')).toBeUndefined();
  });

  it('puts tokens of one username into one account, and of another into another', async () => {
    const make = async (account: string) =>
      accounts.accountOf((await accounts.createToken({ name: 'a', account })).token);
    const [one, again, other] = [await make('shop'), await make('shop'), await make('lab')];
    expect(again).toBe(one);
    expect(other).not.toBe(one);
    expect(await make('local')).toBe('local');
  });

  it.each(['', 'A', 'a b', '-a', 'a-', 'a/b', 'é', 'a'.repeat(40), 'a\n'])(
    'refuses the username %j',
    async (account) => {
      await expect(accounts.createToken({ name: 'a', account })).rejects.toBeInstanceOf(InputError);
    },
  );

  it.each(['', ' ', 'a'.repeat(101), 'a\u0000b', 'a\nb', '\ud800'])('refuses the name %j', async (name) => {
    await expect(accounts.createToken({ name, account: 'local' })).rejects.toThrow(/needs a name/);
    expect(await accounts.listTokens()).toEqual([]);
  });

  it('revokes at once in the same process, and says when', async () => {
    const { token, info } = await accounts.createToken({ name: 'a', account: 'local' });
    expect(await accounts.accountOf(token)).toBe('local');
    expect((await accounts.revokeToken(info.id))?.revokedAt).toBeInstanceOf(Date);
    expect(await accounts.accountOf(token)).toBeUndefined();
    expect(await accounts.revokeToken('nothing')).toBeUndefined();
  });

  it('asks the database once for many requests, and again after some seconds', async () => {
    const { token, info } = await accounts.createToken({ name: 'a', account: 'local' });
    // The message about the new token makes the gate forget.
    await hearMessages();
    later(0);
    expect(await accounts.accountOf(token)).toBe('local');
    // Behind the gate's back, as another process would whose message was lost.
    await sql`update tokens set revoked_at = now() where id = ${info.id}`.execute(database.kysely);
    later(rememberedMs - 500);
    expect(await accounts.accountOf(token)).toBe('local');
    later(600);
    expect(accounts.isProven(token)).toBe(false);
    expect(await accounts.accountOf(token)).toBeUndefined();
  });

  it('notes when a token was used', async () => {
    const { token } = await accounts.createToken({ name: 'a', account: 'local' });
    await accounts.accountOf(token);
    const used = await waitUntil('the use is noted', async () => (await accounts.listTokens())[0]!.lastUsedAt);
    expect(Math.abs(Date.now() - used.getTime())).toBeLessThan(60_000);
  });

  it('does not remember that the database failed', async () => {
    const { token } = await accounts.createToken({ name: 'a', account: 'local' });
    const select = vi.spyOn(database.kysely, 'selectFrom').mockImplementation(() => {
      throw new Error('gone');
    });
    await expect(accounts.accountOf(token)).rejects.toThrow('gone');
    select.mockRestore();
    expect(await accounts.accountOf(token)).toBe('local');
  });

  it('knows the tokens of DARKROOM_API_TOKENS as the accounts that they always were', async () => {
    const configured = await openAccounts(database, { ...open, apiTokens: ['r8_one', 'r8_two'] }, log);
    expect(await configured.isOpen()).toBe(false);
    const one = await configured.accountOf('r8_one');
    // Rows of earlier versions carry this id.
    expect(one).toBe('3bd286a0d5c25011f8d5e6f598ced2a8');
    expect(await configured.accountOf('r8_two')).not.toBe(one);
    expect(await configured.account(one!)).toMatchObject({ username: `token-${one!.slice(0, 12)}`, type: 'user' });
    expect(await configured.accountByUsername(`token-${one!.slice(0, 12)}`)).toMatchObject({ id: one });
    expect(await configured.accountOf('r8_three')).toBeUndefined();
    expect(await configured.firstToken()).toBeUndefined();
    configured.close();
  });

  it('makes a first token where other machines reach the server, once, also when two start together', async () => {
    expect(await accounts.firstToken()).toBeUndefined();
    const settings = { ...open, host: '0.0.0.0' };
    const servers = [await openAccounts(database, settings, log), await openAccounts(database, settings, log)];
    const made = (await Promise.all(servers.map((server) => server.firstToken()))).filter(Boolean);
    expect(made).toHaveLength(1);
    expect(await servers[0]!.accountOf(made[0]!)).toBe('local');
    expect(await servers[1]!.isOpen()).toBe(false);
    expect(await servers[1]!.firstToken()).toBeUndefined();
    for (const server of servers) server.close();
  });

  it('signs webhooks with a secret that all clients can read, the previous one beside it for a day', async () => {
    const [first, ...none] = await accounts.webhookSecrets('ada');
    expect(first).toMatch(/^whsec_[A-Za-z0-9+/]{32}$/);
    expect(none).toEqual([]);
    expect(await accounts.webhookSecrets('ada')).toEqual([first]);
    expect(await accounts.webhookSecrets('bob')).not.toEqual([first]);

    const second = await accounts.rotateWebhookSecret('ada');
    const third = await accounts.rotateWebhookSecret('ada');
    const [newest, ...replaced] = await accounts.webhookSecrets('ada');
    // Of two that were replaced within a millisecond either may come first.
    expect([newest, ...replaced.toSorted()]).toEqual([third, ...[first!, second].toSorted()]);
    const age = (secret: string, hours: number) =>
      sql`update secrets set replaced_at = replaced_at - make_interval(hours => ${hours}) where secret = ${secret}`.execute(
        database.kysely,
      );
    await age(first!, 24);
    await age(second, 23);
    expect(await accounts.webhookSecrets('ada')).toEqual([third, second]);
    await accounts.rotateWebhookSecret('ada');
    const kept = await database.kysely.selectFrom('secrets').select('secret').where('account', '=', 'ada').execute();
    expect(kept.map(({ secret }) => secret)).not.toContain(first);
  });

  it('has one secret of each kind however many ask at once', async () => {
    const all = await Promise.all(Array.from({ length: 10 }, () => accounts.filesSecret('ada')));
    expect(new Set(all).size).toBe(1);
    expect(all[0]).toMatch(/^[\w-]{43}$/);
    const rotations = await Promise.all(Array.from({ length: 5 }, () => accounts.rotateWebhookSecret('ada')));
    const secrets = await accounts.webhookSecrets('ada');
    expect(secrets.toSorted()).toEqual(rotations.toSorted());
  });
});

describe.skipIf(!isPostgresAvailable())('accounts of two processes', () => {
  it('hear of each other', async () => {
    const place = await makePlace('PostgreSQL');
    const databases = [await openDatabase(place, log), await openDatabase(place, log)];
    const [server, command] = await Promise.all(databases.map((database) => openAccounts(database, open, log)));
    expect(await server!.isOpen()).toBe(true);
    // So that nothing that it remembers grows old.
    const clock = vi.spyOn(performance, 'now').mockReturnValue(performance.now());
    onTestFinished(() => clock.mockRestore());
    const { token, info } = await command!.createToken({ name: 'a', account: 'local' });
    await waitUntil('the server asks for tokens', async () => !(await server!.isOpen()));
    expect(await server!.accountOf(token)).toBe('local');
    await command!.revokeToken(info.id);
    await waitUntil('the token is refused', async () => (await server!.accountOf(token)) === undefined);
    for (const accounts of [server!, command!]) accounts.close();
    for (const database of databases) await database.close();
    await place.remove();
  });
});

describe('settings', () => {
  it.each([
    [{}, false],
    [{ host: 'localhost' }, false],
    [{ host: '::1' }, false],
    [{ publicUrl: 'http://localhost:8080' }, false],
    [{ host: '0.0.0.0' }, true],
    [{ host: '192.168.1.5' }, true],
    [{ host: '' }, true],
    [{ publicUrl: 'https://box.example' }, true],
    [{ apiTokens: ['r8_one'] }, true],
    [{ auth: 'tokens' as const }, true],
    [{ auth: 'none' as const, host: '0.0.0.0' }, false],
  ])('%j: tokens are always asked for: %j', (settings, expected) => {
    expect(alwaysNeedsTokens({ ...open, ...settings })).toBe(expected);
  });
});
