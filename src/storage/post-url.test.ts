import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { type Receiver, startReceiver } from '../../test/support/receiver.ts';
import { type PostOptions, postFault, postToUrl } from './post-url.ts';

const receivers: Receiver[] = [];
afterEach(async () => {
  for (const receiver of receivers.splice(0)) await receiver.close();
});

async function receiving(...answer: Parameters<typeof startReceiver>): Promise<Receiver> {
  const receiver = await startReceiver(...answer);
  receivers.push(receiver);
  return receiver;
}

function post(url: string, changes: Partial<PostOptions> = {}) {
  return postToUrl(url, {
    headers: { 'x-own': '1' },
    body: '{"a":"ä"}',
    timeoutMs: 30_000,
    allowPrivate: true,
    ...changes,
  });
}

test('the body arrives byte by byte, with the query and without credentials', async () => {
  const receiver = await receiving();
  expect(await post(`${receiver.origin}/hook?job=7&x=%20#part`)).toEqual({ status: 204, error: undefined });
  const [{ path, headers, body }] = receiver.received as [Receiver['received'][0]];
  expect([path, body]).toEqual(['/hook?job=7&x=%20', '{"a":"ä"}']);
  expect(headers).toMatchObject({
    'content-type': 'application/json',
    'content-length': '10',
    'user-agent': 'darkroom',
    'x-own': '1',
  });
  expect(headers.authorization).toBeUndefined();
});

test.each([301, 302, 307, 308])('a redirect with %i is not followed', async (status) => {
  const other = await receiving();
  const receiver = await receiving((_received, response) => {
    response.writeHead(status, { location: other.origin }).end();
  });
  const { error, status: answered } = await post(receiver.origin);
  expect([answered, error]).toEqual([
    status,
    `answered ${status}; redirects are not followed, so give the final address`,
  ]);
  expect(other.received).toHaveLength(0);
});

test.each([400, 404, 410, 500, 503])('%i is a failure', async (status) => {
  const receiver = await receiving((_received, response) => {
    response.writeHead(status).end('no');
  });
  expect(await post(receiver.origin)).toEqual({ status, error: `answered ${status}` });
});

test('one that hangs, one that hangs up, one that is not there and one that does not speak HTTP', async () => {
  const hanging = await receiving(() => {});
  const late = await post(hanging.origin, { timeoutMs: 300 });
  expect(late).toEqual({ status: undefined, error: 'did not answer within 0.3 s' });

  const cutting = await receiving((_received, response) => {
    response.destroy();
  });
  expect((await post(cutting.origin)).error).toBe('closed the connection without an answer');

  const gone = await startReceiver();
  await gone.close();
  expect((await post(gone.origin)).error).toBe('cannot be reached: the host refuses connections on this port');

  const speechless = createServer((socket) => socket.resume().end('SSH-2.0-OpenSSH\r\n'));
  await new Promise<void>((resolve) => speechless.listen(0, '127.0.0.1', resolve));
  const { port } = speechless.address() as AddressInfo;
  expect((await post(`http://127.0.0.1:${port}`)).error).toMatch(/^cannot be reached \(/);
  await new Promise((resolve) => speechless.close(resolve));
  expect((await post('https://nowhere.invalid/')).error).toBe('cannot be reached: its host name is not known');
});

test('an answer without end is not read to its end, and counts by its status', async () => {
  let written = 0;
  const flooding = await receiving((_received, response) => {
    response.writeHead(200);
    const chunk = Buffer.alloc(64 * 1024);
    const more = (): void => {
      while (!response.destroyed && response.write(chunk)) written += chunk.length;
      if (!response.destroyed) response.once('drain', more);
    };
    more();
  });
  expect(await post(flooding.origin)).toEqual({ status: 200, error: undefined });
  expect(written).toBeLessThan(32 * 1024 * 1024);

  const dripping = await receiving((_received, response) => {
    response.writeHead(200).write('.');
    const timer = setInterval(() => response.write('.'), 50);
    response.on('close', () => clearInterval(timer));
  });
  expect(await post(dripping.origin)).toEqual({ status: 200, error: undefined });
});

test('private addresses are reached only where it is allowed, by whatever spelling', async () => {
  const receiver = await receiving();
  const port = new URL(receiver.origin).port;
  const refused = /^leads to a private or reserved network address/;
  for (const host of [
    '127.0.0.1',
    '0x7f.1',
    '[::1]',
    '[::ffff:127.0.0.1]',
    'localhost',
    '169.254.169.254',
    '10.0.0.1',
  ]) {
    expect([host, (await post(`https://${host}:${port}/`, { allowPrivate: false })).error]).toEqual([
      host,
      expect.stringMatching(refused),
    ]);
  }
  expect(receiver.received).toHaveLength(0);
});

test('the signal ends it', async () => {
  const stop = new AbortController();
  const hanging = await receiving(() => stop.abort(new Error('enough')));
  await expect(post(hanging.origin, { signal: stop.signal })).rejects.toThrow('enough');
});

test.each([
  ['ftp://x.example/', true, 'is not an http or https URL'],
  ['/hook', true, 'is not an http or https URL'],
  ['data:,x', true, 'is not an http or https URL'],
  ['https://a:b@x.example/', true, expect.stringContaining('holds a user name or a password')],
  ['http://x.example/', false, expect.stringContaining('is not encrypted')],
  ['https://192.168.1.1/', false, expect.stringContaining('private or reserved')],
  ['http://192.168.1.1/', true, undefined],
  ['https://x.example/?a=b', false, undefined],
])('%s, private addresses allowed: %s', (url, allowPrivate, fault) => {
  expect(postFault(url, allowPrivate)).toEqual(fault);
});
