/** How the server ends: nobody waits for an answer in vain, and it waits for nobody for long. */
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Predictions } from '../predictions/predictions.ts';

/**
 * How long requests under way may take when the server ends. With what predictions and webhooks are given it is less than
 * the 10 s after which others kill a process.
 */
const graceMs = 2_000;

/**
 * At the end held replies are given. Each connection is closed with its answer: one that stayed open for a next request
 * would hold up the end for more than a minute. One without a request is closed at once: Node waits for those that never
 * sent any, such as browsers open ahead of need, and no timeout of its own ends them from then on.
 */
export function endInOrder(app: FastifyInstance, predictions: Pick<Predictions, 'endWaits'>): void {
  /** Of each connection how many requests are under way. */
  const connections = new Map<Socket, number>();
  let isClosing = false;

  app.server.on('connection', (socket: Socket) => {
    connections.set(socket, 0);
    socket.once('close', () => connections.delete(socket));
    if (isClosing) socket.destroy();
  });
  app.server.on('request', ({ socket }, response) => {
    const change = (by: number): void => {
      const count = connections.get(socket);
      if (count !== undefined) connections.set(socket, count + by);
    };
    change(1);
    response.once('close', () => change(-1));
  });

  app.addHook('preClose', async () => {
    isClosing = true;
    predictions.endWaits();
    for (const [socket, requests] of connections) if (requests === 0) socket.destroy();
    const timer = setTimeout(() => app.server.closeAllConnections(), graceMs);
    timer.unref();
    app.server.once('close', () => clearTimeout(timer));
  });
  app.addHook('onResponse', ({ raw }, _reply, done) => {
    if (isClosing) raw.socket.destroySoon();
    done();
  });
}
