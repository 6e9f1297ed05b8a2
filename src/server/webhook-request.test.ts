import { expect, test } from 'vitest';
import { readSettings } from '../base/settings.ts';
import { invalidInput } from './errors.ts';
import type { Server } from './server.ts';
import { checkWebhook } from './webhook-request.ts';

const local = 'http://127.0.0.1:3000/hook';

/** @param isOpen as the accounts see it: nobody has made a token yet */
function asked(environment: Record<string, string>, isOpen: boolean, url = local) {
  const settings = readSettings({ DARKROOM_HOME: '/nowhere', ...environment });
  return checkWebhook(url, { settings, accounts: { isOpen: async () => isOpen } } as unknown as Server);
}

test.each<[Record<string, string>, boolean, boolean]>([
  [{}, true, true],
  [{}, false, false],
  // Something else stands before the server and lets others through.
  [{ DARKROOM_AUTH: 'none' }, true, false],
  [{ DARKROOM_WEBHOOK_PRIVATE: '0' }, true, false],
  [{ DARKROOM_WEBHOOK_PRIVATE: '1' }, false, true],
  [{ DARKROOM_WEBHOOK_PRIVATE: '1', DARKROOM_AUTH: 'none' }, true, true],
])('with %j, open: %s, a receiver on this machine is allowed: %s', async (environment, isOpen, allowed) => {
  if (allowed) expect(await asked(environment, isOpen)).toEqual({ url: local, allowPrivate: true });
  else await expect(asked(environment, isOpen)).rejects.toThrow('use https');
});

test('what is public passes everywhere and is kept as it was written', async () => {
  const url = 'HTTPS://Hooks.example:443/a/../b?c=%20d';
  expect(await asked({}, false, url)).toEqual({ url, allowPrivate: false });
});

test.each(['https://x.example/ ', ' https://x.example/', 'https://x.example/\n', 'https://x.example/\ud83d'])(
  '%j is refused: it would not be stored as it is',
  async (url) => {
    const { message } = invalidInput([
      { type: 'format', field: 'webhook', description: 'The URL holds spaces or control characters.' },
    ]);
    await expect(asked({}, true, url)).rejects.toThrow(message);
  },
);
