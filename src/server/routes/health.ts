import type { FastifyInstance } from 'fastify';
import type { Server } from '../server.ts';

/** For load balancers and process supervisors: no token, and nothing that is worth one. */
export function healthRoutes(app: FastifyInstance, server: Server): void {
  const config = { public: true };

  /** The process answers. */
  app.get('/healthz', { config }, async () => ({ status: 'ok' }));

  /** Predictions can be accepted and run. */
  app.get('/readyz', { config }, async (_request, reply) => {
    const reasons = await server.ready();
    if (reasons.length > 0) return reply.code(503).send({ status: 'not ready', reasons });
    return { status: 'ready', queued: await server.predictions.queued() };
  });
}
