import type { FastifyInstance } from 'fastify';
import { readmeOf } from '../../catalog/readme.ts';
import { repositoryState } from '../../weights/inventory.ts';
import type { CatalogueEntry } from '../catalogue.ts';
import { forbidden, notAvailable, notFound } from '../errors.ts';
import { pageJson, wholeList } from '../pagination.ts';
import { queryReader } from '../read-request.ts';
import { modelsQuery } from '../requests.ts';
import { originOf, type Server } from '../server.ts';
import { type ModelJson, modelJson, versionJson, weightsJson } from '../wire.ts';

type ModelRequest = { Params: { owner: string; name: string } };
type VersionRequest = { Params: ModelRequest['Params'] & { version: string } };

const readQuery = queryReader(modelsQuery);

/** The models, which are files: what callers may do with them is to look and to run. */
export function modelRoutes(app: FastifyInstance, server: Server): void {
  const find = ({ owner, name }: ModelRequest['Params']): CatalogueEntry => {
    const entry = server.catalogue.bySlug(`${owner}/${name}`);
    if (!entry) throw notFound();
    return entry;
  };
  const findVersion = (params: VersionRequest['Params']): CatalogueEntry => {
    const entry = find(params);
    if (entry.model.version !== params.version) throw notFound();
    return entry;
  };

  app.get<{ Querystring: Record<string, string> }>('/models', async (request) => {
    const origin = originOf(request, server.settings);
    const direction = readQuery(request.query).sort_direction === 'asc' ? 1 : -1;
    const runs = await server.predictions.runs();
    const byAge = server.catalogue.entries.toSorted(
      (a, b) => direction * (Date.parse(a.model.createdAt) - Date.parse(b.model.createdAt)),
    );
    return pageJson(wholeList(byAge), `${origin}/v1/models`, request.query, (entry) => modelJson(entry, origin, runs));
  });

  app.post('/models', async () => {
    throw notAvailable(
      'Models cannot be created over the API',
      'A model of this server is a file in a folder that DARKROOM_MODELS names; it is there once the server has started ' +
        'with it. To keep a configuration under a name of your own, create a deployment.',
    );
  });

  app.get<ModelRequest>('/models/:owner/:name', async (request): Promise<ModelJson> => {
    const entry = find(request.params);
    const states = entry.model.weights.map((weights) => repositoryState(weights, server.settings));
    return {
      ...modelJson(entry, originOf(request, server.settings), await server.predictions.runs()),
      weights: (await Promise.all(states)).map(weightsJson),
    };
  });

  app.route<ModelRequest>({
    method: ['PATCH', 'DELETE'],
    url: '/models/:owner/:name',
    handler: async ({ params }) => {
      throw isAFile(find(params));
    },
  });

  app.get<ModelRequest>('/models/:owner/:name/readme', async ({ params }, reply) => {
    return reply.type('text/plain; charset=utf-8').send(await readmeOf(find(params).model));
  });

  // Examples are predictions that were made, and no definition brings any.
  app.get<ModelRequest>('/models/:owner/:name/examples', async (request) => {
    const address = `${originOf(request, server.settings)}/v1/models/${find(request.params).slug}/examples`;
    return pageJson(wholeList([]), address, {}, (example) => example);
  });

  app.get<ModelRequest>('/models/:owner/:name/versions', async (request) => {
    const entry = find(request.params);
    const address = `${originOf(request, server.settings)}/v1/models/${entry.slug}/versions`;
    return pageJson(wholeList([entry]), address, {}, versionJson);
  });

  app.get<VersionRequest>('/models/:owner/:name/versions/:version', async ({ params }) => {
    return versionJson(findVersion(params));
  });

  app.delete<VersionRequest>('/models/:owner/:name/versions/:version', async ({ params }) => {
    throw isAFile(findVersion(params));
  });
}

function isAFile({ slug }: CatalogueEntry) {
  return forbidden(
    `${slug} is a file on the server and cannot be changed or deleted over the API. Who runs the server changes the ` +
      'file, or takes it out of the folder of models.',
  );
}
