import type { FastifyInstance } from 'fastify';
import { notAvailable, notFound } from '../errors.ts';
import { pageJson, wholeList } from '../pagination.ts';
import { originOf, type Server } from '../server.ts';

type VersionRequest = { Params: { owner: string; name: string; version: string } };

/** This server trains nothing, and says so: there are no trainings, and none can be created. */
export function trainingRoutes(app: FastifyInstance, server: Server): void {
  const nothing = async (): Promise<never> => {
    throw notFound();
  };

  app.get('/trainings', async (request) => {
    const address = `${originOf(request, server.settings)}/v1/trainings`;
    return pageJson(wholeList([]), address, {}, (training) => training);
  });
  app.get('/trainings/:id', nothing);
  app.post('/trainings/:id/cancel', nothing);

  app.post<VersionRequest>('/models/:owner/:name/versions/:version/trainings', async ({ params }) => {
    const entry = server.catalogue.bySlug(`${params.owner}/${params.name}`);
    if (entry?.model.version !== params.version) throw notFound();
    throw notAvailable(
      'Training is not available',
      'This server runs models and does not train them. Train elsewhere, and put the weights where the model looks for them.',
    );
  });
}
