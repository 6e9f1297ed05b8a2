import { type AddressInfo, connect, createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

/** Stands between a client and a server, and breaks connections before anything of an answer has come through. */
export interface CuttingProxy {
  /** `http://127.0.0.1:<port>`. */
  origin: string;
  /** How many connections were broken. */
  cut(): number;
  close(): Promise<void>;
}

/** @param cuts for each of the first connections: milliseconds after the request until both sides of it are closed */
export async function startCuttingProxy(port: number, cuts: number[]): Promise<CuttingProxy> {
  let cut = 0;
  const open = new Set<() => void>();
  const left = [...cuts];
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    const close = (): void => {
      upstream.destroy();
      client.destroy();
      open.delete(close);
    };
    open.add(close);
    client.on('error', close).on('close', close);
    upstream.on('error', close).on('close', close);
    const delay = left.shift();
    if (delay === undefined) {
      client.pipe(upstream).pipe(client);
      return;
    }
    // An answer would be held back. Its bytes are read, so that the server sees an ordinary end of the connection.
    upstream.resume();
    client.on('data', (chunk) => {
      upstream.write(chunk, async () => {
        await pause(delay);
        if (!client.destroyed) cut++;
        close();
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut: () => cut,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const end of open) end();
      }),
  };
}
