import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Received {
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
  /** On the clock of `performance.now`. */
  at: number;
}

/** Somebody's server that webhooks are sent to. */
export interface Receiver {
  /** `http://127.0.0.1:<port>`. */
  origin: string;
  /** Everything that arrived, in the order in which it began to. */
  received: Received[];
  close(): Promise<void>;
}

/** @param answer called once the whole request is there; 204 unless it does something else, never when it hangs */
export async function startReceiver(
  answer: (received: Received, response: ServerResponse, place: number) => void = (_received, response) => {
    response.writeHead(204).end();
  },
): Promise<Receiver> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    const item: Received = { path: request.url!, headers: request.headers, body: '', at: performance.now() };
    const chunks: Buffer[] = [];
    const place = received.push(item) - 1;
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('error', () => {});
    response.on('error', () => {});
    request.on('end', () => {
      item.body = Buffer.concat(chunks).toString();
      answer(item, response, place);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
