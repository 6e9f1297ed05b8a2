/** The HTTP server as one function of its parts. Nothing here listens; `darkroom serve` and the tests do. */
import { randomBytes } from 'node:crypto';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyRequest, LogController } from 'fastify';
import type { Logger } from '../base/log.ts';
import type { ModelDefinition } from '../catalog/model.ts';
import { lingerBeforeClose, readJsonBodies } from './body.ts';
import { createCatalogue } from './catalogue.ts';
import { endInOrder } from './ending.ts';
import { bodyTooLarge, methodNotAllowed, notFound, sendProblem, toProblem } from './errors.ts';
import { guard } from './guard.ts';
import { accountRoutes } from './routes/account.ts';
import { administrationRoutes } from './routes/administration.ts';
import { deploymentRoutes } from './routes/deployments.ts';
import { documentRoutes } from './routes/documents.ts';
import { fileRoutes } from './routes/files.ts';
import { healthRoutes } from './routes/health.ts';
import { modelRoutes } from './routes/models.ts';
import { predictionRoutes } from './routes/predictions.ts';
import { searchRoutes } from './routes/search.ts';
import { streamRoutes } from './routes/streams.ts';
import { trainingRoutes } from './routes/trainings.ts';
import { uploadRoutes } from './routes/uploads.ts';
import { webhookRoutes } from './routes/webhooks.ts';
import type { Server } from './server.ts';

export interface AppOptions extends Omit<Server, 'catalogue'> {
  models: readonly ModelDefinition[];
}

/** One file a noun; a new endpoint is a function in this list. */
const routes = [
  predictionRoutes,
  modelRoutes,
  searchRoutes,
  deploymentRoutes,
  trainingRoutes,
  fileRoutes,
  streamRoutes,
  uploadRoutes,
  webhookRoutes,
  accountRoutes,
  administrationRoutes,
  healthRoutes,
  documentRoutes,
];

export function createApp({ models, ...parts }: AppOptions): FastifyInstance {
  const { settings, log } = parts;
  const app = Fastify({
    loggerInstance: log as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true }),
    // Lines name their request by themselves; a logger for each one would cost as much as a line.
    childLoggerFactory: (logger) => logger,
    genReqId: ({ headers }) => requestId(headers['x-request-id']),
    bodyLimit: settings.bodyMaxBytes,
    // For a whole request with its body, which can be a large file over a slow line; a held answer is not counted.
    requestTimeout: 600_000,
    trustProxy: 'loopback',
    rewriteUrl: ({ url }) => canonicalUrl(url ?? '/'),
    routerOptions: { ignoreTrailingSlash: true, ignoreDuplicateSlashes: true, maxParamLength: 300 },
    frameworkErrors: (error, request, reply) => {
      sendProblem(reply, toProblem(error, request.id));
    },
  });
  endInOrder(app, parts.predictions);

  guard(app, parts);
  logRequests(app, log);
  readJsonBodies(app, settings.bodyMaxBytes, settings.uploadMaxBytes);
  const answered = collectMethods(app);
  const server: Server = { ...parts, catalogue: createCatalogue(models) };
  for (const register of routes) register(app, server);
  app.decorate('answered', new Map([...answered].map(([url, known]) => [url, [...known]])));
  refuseOtherMethods(app, answered);

  app.setNotFoundHandler(() => {
    throw notFound();
  });
  app.setErrorHandler((error, request, reply) => {
    const tooLarge = (error as { code?: string }).code === 'FST_ERR_CTP_BODY_TOO_LARGE';
    const problem = tooLarge ? bodyTooLarge(settings.bodyMaxBytes) : toProblem(error, request.id);
    if (problem.status === 413) lingerBeforeClose(request.raw.socket);
    if (problem.status >= 500) log.error({ err: error, request: request.id }, 'A request failed.');
    return sendProblem(reply, problem);
  });
  return app;
}

/** The caller's own, so that one id follows a request through proxies; only what can be logged as it is. */
function requestId(given: string | string[] | undefined): string {
  if (typeof given === 'string' && /^[A-Za-z0-9._-]{8,64}$/.test(given)) return given;
  // One random number a process, and counted on: random bytes for each request cost as much as its routing.
  const id = nextRequest.toString(16).padStart(12, '0');
  nextRequest = (nextRequest + 1) % 2 ** 48;
  return id;
}

let nextRequest = randomBytes(6).readUIntBE(0, 6);

/** One line for each request; at `debug` where all went well with a read: clients that wait ask twice a second. */
function logRequests(app: FastifyInstance, log: Logger): void {
  app.addHook('onResponse', (request, reply, done) => {
    const { method, id } = request;
    const { statusCode: status } = reply;
    const ms = Math.round(reply.elapsedTime * 10) / 10;
    const level = ['GET', 'HEAD'].includes(method) && status < 400 ? 'debug' : 'info';
    log[level]({ method, path: loggedPath(request), status, ms, request: id }, 'request');
    done();
  });
}

/**
 * Every route answers under `/v1` and without it, and a doubled `/v1/v1` is one: clients join their base URL with paths
 * in three different ways.
 */
function canonicalUrl(url: string): string {
  const bare = url.replace(/^(?:\/+v1)+(?=[/?]|$)/, '');
  return bare.startsWith('/') ? bare : `/${bare}`;
}

/**
 * Without its query, and without keys, however spelled: who reads the log must not be able to read the files. Where the
 * address itself is the key, only its pattern is logged.
 */
function loggedPath(request: FastifyRequest): string {
  const { config, url } = request.routeOptions;
  if (!request.is404 && config.public && url !== undefined) return url;
  const path = request.originalUrl.split('?', 1)[0]!.slice(0, 200);
  return decoded(path).replace(/(\/(?:f|streams)\/+|\/files\/+stream-|drk_|r8_|whsec_)[^/]+/g, '$1…');
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function collectMethods(app: FastifyInstance): Map<string, Set<string>> {
  const methods = new Map<string, Set<string>>();
  app.addHook('onRoute', ({ url, method }) => {
    const known = methods.get(url) ?? new Set();
    for (const name of [method].flat()) known.add(name);
    methods.set(url, known);
  });
  return methods;
}

/** The other methods of every address: 405 with the list of what it does answer. */
function refuseOtherMethods(app: FastifyInstance, answered: Map<string, Set<string>>): void {
  for (const [url, known] of [...answered]) {
    const allowed = [...known].sort();
    const method = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'QUERY'].filter(
      (name) => !known.has(name),
    );
    const refuse = async (): Promise<never> => {
      throw methodNotAllowed(allowed);
    };
    // In onRequest, before the body: nothing is read for an answer that is known already.
    app.route({ method, url, config: { public: true }, onRequest: refuse, handler: refuse, exposeHeadRoute: false });
  }
}
