import type { FastifyInstance } from 'fastify';
import { modelDocument } from '../document/model-document.ts';
import { serverDocument } from '../document/server-document.ts';
import { notFound } from '../errors.ts';
import { originOf, type Server } from '../server.ts';

/** OpenAPI documents: of the server for everybody, as it is the same everywhere, and of each model. */
export function documentRoutes(app: FastifyInstance, server: Server): void {
  app.get('/openapi.json', { config: { public: true, anyOrigin: true } }, async (request) =>
    serverDocument(originOf(request, server.settings)),
  );

  app.get<{ Params: { owner: string; name: string } }>('/models/:owner/:name/openapi.json', async (request) => {
    const entry = server.catalogue.bySlug(`${request.params.owner}/${request.params.name}`);
    if (!entry) throw notFound();
    return modelDocument(entry, originOf(request, server.settings));
  });
}
