import type { FastifyInstance, FastifyRequest } from 'fastify';
import { isFileKey } from '../../storage/local-files.ts';
import { deliver } from '../deliver.ts';
import { notFound } from '../errors.ts';
import type { Server } from '../server.ts';

type FileRequest = FastifyRequest<{ Params: { key: string; name: string } }>;

/**
 * Stored files at capability URLs: clients fetch them without a token, browsers show them in place and from any page.
 */
export function fileRoutes(app: FastifyInstance, server: Server): void {
  // HEAD is our own: the one that Fastify derives reads the whole file, or says that it is empty.
  app.route({
    method: ['GET', 'HEAD'],
    url: '/f/:key/:name',
    exposeHeadRoute: false,
    config: { public: true, anyOrigin: true },
    handler: async (request: FileRequest, reply) => {
      const { key, name } = request.params;
      const file = isFileKey(key) ? await server.predictions.file(key) : undefined;
      if (!file || file.name !== name) throw notFound();
      return deliver(request, reply, file, server.files);
    },
  });
}
