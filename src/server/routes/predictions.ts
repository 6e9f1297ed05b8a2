import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { isTerminal, type Prediction } from '../../predictions/prediction.ts';
import { type PredictionJson, predictionJson } from '../../predictions/prediction-json.ts';
import type { ListQuery, NewPrediction } from '../../predictions/predictions.ts';
import type { CatalogueEntry } from '../catalogue.ts';
import { type CreateRequest, readCreateRequest } from '../create-request.ts';
import { invalidInput, invalidVersion, notAvailable, notFound } from '../errors.ts';
import { forget, storeInputFiles } from '../input-files.ts';
import { pageJson, pageSize } from '../pagination.ts';
import { parsePrefer } from '../prefer.ts';
import { originOf, type Server } from '../server.ts';
import { checkWebhook } from '../webhook-request.ts';
import { asStillStarting } from '../wire.ts';

type Query = Record<string, string | undefined>;

export function predictionRoutes(app: FastifyInstance, server: Server): void {
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

  app.get<{ Params: { id: string } }>('/predictions/:id', async (request) => {
    const { account, params } = request;
    const prediction = isId(params.id) ? await server.predictions.get(account, params.id) : undefined;
    if (!prediction) throw notFound();
    return json(request, prediction);
  });

  app.get<{ Querystring: Query }>('/predictions', async (request) => {
    const { account, query } = request;
    const { predictions, next, previous } = await server.predictions.list({ account, ...readListQuery(query) });
    const address = `${originOf(request, server.settings)}/v1/predictions`;
    return pageJson({ items: predictions, next, previous }, address, query, (item) => json(request, item));
  });

  app.post<{ Params: { id: string } }>('/predictions/:id/cancel', async (request) => {
    const { account, params } = request;
    const prediction = isId(params.id) ? await server.predictions.cancel(account, params.id) : undefined;
    if (!prediction) throw notFound();
    return json(request, prediction);
  });

  async function create(
    request: FastifyRequest,
    reply: FastifyReply,
    entry: CatalogueEntry,
    body: CreateRequest,
    deployment?: string,
  ): Promise<PredictionJson> {
    refuseDeadline(request);
    const checked = entry.checkInput(body.input);
    if (checked.faults.length > 0) throw invalidInput(checked.faults);
    const { webhook: url, webhookEventsFilter } = body;
    const prediction = await keep(request, entry, checked.input, {
      ...(url !== undefined && { webhook: await checkWebhook(url, server) }),
      ...(webhookEventsFilter && { webhookEventsFilter }),
      ...(deployment !== undefined && { deployment }),
    });
    const wait = parsePrefer(request.headers.prefer);
    const ended = wait && (await hold(prediction, wait.holdMs));
    const answer = json(request, wait ? asStillStarting(ended ?? prediction) : prediction);
    reply.code(201).header('location', answer.urls.get);
    if (wait) reply.header('preference-applied', `wait=${wait.seconds}`);
    if (checked.ignored.length > 0) reply.header('x-ignored-inputs', headerList(checked.ignored));
    return answer;
  }

  async function keep(
    request: FastifyRequest,
    entry: CatalogueEntry,
    input: Record<string, unknown>,
    extras: Pick<NewPrediction, 'webhook' | 'webhookEventsFilter' | 'deployment'>,
  ): Promise<Prediction> {
    const stored = await storeInputFiles(input, entry.fileInputs, server.files, server.predictions);
    try {
      return await server.predictions.create({
        account: request.account,
        model: entry.slug,
        version: entry.model.version,
        input: stored.input,
        inputFiles: stored.files,
        ...(stored.fileInputs.length > 0 && { fileInputs: stored.fileInputs }),
        ...extras,
        source: 'api',
        origin: originOf(request, server.settings),
      });
    } catch (error) {
      await forget(stored.files, server.files);
      throw error;
    }
  }

  /** Until the prediction ends, time is up or the server shuts down. A caller who leaves changes nothing. */
  async function hold(prediction: Prediction, timeoutMs: number): Promise<Prediction | undefined> {
    if (isTerminal(prediction.status)) return prediction;
    const ended = server.predictions.waitForEnd(prediction.id, timeoutMs);
    return (await Promise.race([ended, server.closing])) ?? undefined;
  }
}

/** Ids are ours; anything else is not looked up. */
function isId(id: string): boolean {
  return /^[0-9a-z]{1,64}$/.test(id);
}

function readListQuery(query: Query): Omit<ListQuery, 'account'> {
  const createdAfter = readDate('created_after', query.created_after);
  const createdBefore = readDate('created_before', query.created_before);
  if (query.source !== undefined && query.source !== 'web') {
    throw invalidInput([{ type: 'enum', field: 'source', description: 'source must be one of the following: "web"' }]);
  }
  return {
    limit: pageSize,
    ...(createdAfter && { createdAfter }),
    ...(createdBefore && { createdBefore }),
    ...(query.source && { source: query.source }),
    ...(query.cursor && { cursor: query.cursor }),
  };
}

function readDate(field: string, text: string | undefined): Date | undefined {
  if (text === undefined) return undefined;
  // In a query string an unescaped + arrives as a space.
  const iso = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+ -]\d\d:?\d\d)?)?$/i;
  const date = iso.test(text) ? new Date(text.replace(' ', '+')) : undefined;
  if (!date || Number.isNaN(date.getTime())) {
    throw invalidInput([{ type: 'format', field, description: "Does not match format 'date-time'" }]);
  }
  return date;
}

function refuseDeadline(request: FastifyRequest): void {
  if (request.headers['cancel-after'] === undefined) return;
  throw notAvailable(
    'Cancel-After is not available',
    'This server does not keep deadlines yet, so the header Cancel-After is refused rather than ignored. ' +
      'Leave it out, and cancel with POST to the URL in "urls.cancel".',
  );
}

/** Names from a caller, safe in a header: escaped, and not endless. */
function headerList(names: readonly string[]): string {
  const longest = 1000;
  let list = '';
  for (const name of names) {
    // Half a surrogate pair cannot be escaped.
    const escaped = encodeURIComponent(name.slice(0, 100).replace(/\p{Surrogate}/gu, '?'));
    const next = list === '' ? escaped : `${list}, ${escaped}`;
    if (next.length > longest) return `${list}, ...`;
    list = next;
  }
  return list;
}
