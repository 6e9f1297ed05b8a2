import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, test } from 'vitest';
import { SettingsError } from '../base/errors.ts';
import { listenFault } from './listen-fault.ts';

async function faultOf(host: string, port: number): Promise<unknown> {
  const [error] = await once(createServer().listen(port, host), 'error').catch((error: Error) => [error]);
  return listenFault(error, { host, port });
}

test('a port that is taken is named, with the setting that chooses another', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port } = taken.address() as AddressInfo;
  const fault = await faultOf('127.0.0.1', port);
  expect(fault).toBeInstanceOf(SettingsError);
  expect(String(fault)).toMatch(new RegExp(`Port ${port} of 127\\.0\\.0\\.1 is taken .* PORT`));
  taken.close();
});

test('an address of another machine is named', async () => {
  // From the range for documents (RFC 5737), which no machine has.
  expect(String(await faultOf('192.0.2.1', 0))).toMatch(/HOST is "192\.0\.2\.1", which is no address of this machine/);
});

test('other errors stay as they are', () => {
  const error = new Error('something else');
  expect(listenFault(error, { host: '127.0.0.1', port: 1 })).toBe(error);
});
