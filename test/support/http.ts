import { connect, type Socket } from 'node:net';

/** Sends bytes as they are and returns everything that comes back until the server closes the connection. */
export async function exchange(port: number, request: string | Buffer): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.on('error', () => {});
  socket.write(request);
  await closed(socket);
  return Buffer.concat(chunks).toString();
}

/** Also when the server cuts the connection: `events.once` would reject then. */
export function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

/** Head of a request with these headers, which asks for the connection to be closed. */
export function requestHead(line: string, headers: Record<string, string | number> = {}): string {
  const all = { host: '127.0.0.1', connection: 'close', ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  return `${line} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`;
}
