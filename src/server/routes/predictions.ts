import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Prediction } from '../../predictions/prediction.ts';
import { type PredictionJson, predictionJson } from '../../predictions/prediction-json.ts';
import type { ListQuery } from '../../predictions/predictions.ts';
import { predictionCreator } from '../create-prediction.ts';
import { readCreateRequest } from '../create-request.ts';
import { invalidVersion, notFound } from '../errors.ts';
import { pageJson, pageSize } from '../pagination.ts';
import { predictionText } from '../prediction-text.ts';
import { queryReader } from '../read-request.ts';
import { predictionsQuery } from '../requests.ts';
import { originOf, type Server } from '../server.ts';

type Query = Record<string, string | undefined>;

const readQuery = queryReader(predictionsQuery);

export function predictionRoutes(app: FastifyInstance, server: Server): void {
  const create = predictionCreator(server);
  const json = (request: FastifyRequest, prediction: Prediction): PredictionJson =>
    predictionJson(prediction, originOf(request, server.settings));

  app.post('/predictions', async (request, reply) => {
    const body = readCreateRequest(request.body, 'by version');
    const entry = server.catalogue.byReference(body.version);
    if (!entry) throw invalidVersion();
    return create(request, reply, entry, body);
  });

  app.post<{ Params: { owner: string; name: string } }>('/models/:owner/:name/predictions', async (request, reply) => {
    const entry = server.catalogue.bySlug(`${request.params.owner}/${request.params.name}`);
    if (!entry) throw notFound();
    return create(request, reply, entry, readCreateRequest(request.body, 'on model'));
  });

  app.post<{ Params: { owner: string; name: string } }>(
    '/deployments/:owner/:name/predictions',
    async (request, reply) => {
      const id = `${request.params.owner}/${request.params.name}`;
      const deployment = await server.predictions.deployments.get(request.account, id);
      if (!deployment) throw notFound();
      const entry = server.catalogue.byReference(deployment.version);
      if (!entry) throw invalidVersion();
      return create(request, reply, entry, readCreateRequest(request.body, 'on model'), deployment.id);
    },
  );

  app.get<{ Params: { id: string } }>('/predictions/:id', async (request, reply) => {
    const { account, params } = request;
    const prediction = isId(params.id) ? await server.predictions.get(account, params.id) : undefined;
    if (!prediction) throw notFound();
    reply.header('content-type', 'application/json; charset=utf-8');
    return predictionText(prediction, originOf(request, server.settings));
  });

  app.get<{ Querystring: Query }>('/predictions', async (request) => {
    const { account, query } = request;
    const { predictions, next, previous } = await server.predictions.list({ account, ...listQueryOf(query) });
    const address = `${originOf(request, server.settings)}/v1/predictions`;
    return pageJson({ items: predictions, next, previous }, address, query, (item) => json(request, item));
  });

  app.post<{ Params: { id: string } }>('/predictions/:id/cancel', async (request) => {
    const { account, params } = request;
    const prediction = isId(params.id) ? await server.predictions.cancel(account, params.id) : undefined;
    if (!prediction) throw notFound();
    return json(request, prediction);
  });
}

/** Ids are ours; anything else is not looked up. */
function isId(id: string): boolean {
  return /^[0-9a-z]{1,64}$/.test(id);
}

function listQueryOf(query: unknown): Omit<ListQuery, 'account'> {
  const { created_after: after, created_before: before, source, cursor } = readQuery(query);
  return {
    limit: pageSize,
    ...(after !== undefined && { createdAfter: dateOf(after) }),
    ...(before !== undefined && { createdBefore: dateOf(before) }),
    ...(source && { source }),
    ...(cursor && { cursor }),
  };
}

/** Databases do not take every year that a date can have. None has a prediction from outside of these. */
const earliest = Date.parse('1970-01-01T00:00:00Z');
const latest = Date.parse('9000-01-01T00:00:00Z');

/** In a query string an unescaped + arrives as a space. */
function dateOf(text: string): Date {
  const moment = Date.parse(text.replace(' ', '+'));
  return new Date(Math.min(Math.max(moment, earliest), latest));
}
