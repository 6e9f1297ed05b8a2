import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Static } from 'typebox';
import { isTerminal } from '../../predictions/prediction.ts';
import type { Progress } from '../../predictions/progress.ts';
import { gone, notFound } from '../errors.ts';
import type { streamQuery } from '../requests.ts';
import { originOf, type Server } from '../server.ts';
import { type EventStream, openEventStream } from '../sse.ts';
import { isAtEnd, nextEvent, positionAfter } from '../stream-events.ts';

type StreamRequest = FastifyRequest<{
  Params: { capability: string };
  Querystring: Static<typeof streamQuery>;
}>;

/** Less than half of what the most impatient client waits for. */
const heartbeatMs = 10_000;

/**
 * Predictions as they run, at capability URLs: clients read them without a token. The path is one of those under which
 * the JavaScript client makes files of what `output` events hold.
 */
export function streamRoutes(app: FastifyInstance, server: Server): void {
  const open = new Set<EventStream>();
  let isClosing = false;
  // The one end without `done`: readers connect again, to this server or the next, and go on where they were.
  app.addHook('preClose', async () => {
    isClosing = true;
    for (const stream of open) stream.end();
  });

  const follow = async (request: StreamRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const found = await find(request.params.capability);
    const lastEventId = request.headers['last-event-id']?.toString();
    const view = { origin: originOf(request, server.settings), withLogs: isOn(request.query.logs) };
    let position = positionAfter(found, lastEventId, view.withLogs);
    // A browser would connect again and again; this is the answer on which it stops.
    if (isAtEnd(position)) return reply.code(204).send();

    let progress = found;
    let preview: string | undefined;
    const stop = (): void => {
      for (const end of sources) end();
    };
    const hear = (now: Progress): void => {
      progress = now;
      // What has ended changes no more; who reads slowly has it here.
      if (isTerminal(now.status)) stop();
      stream.wake();
    };
    const show = (picture: string): void => {
      preview = picture;
      stream.wake();
    };
    const sources: (() => void)[] = [];
    if (!isTerminal(found.status)) {
      sources.push(server.predictions.follow(found.id, view.withLogs, hear));
      if (isOn(request.query.previews)) sources.push(server.predictions.watch(found.id, show));
    }
    const stream = openEventStream({
      next() {
        if (isAtEnd(position)) return 'end';
        const next = nextEvent(progress, position, view);
        if (next) {
          position = next.position;
          return next.event;
        }
        if (preview === undefined) return undefined;
        // The newest alone, and without an id: what is shown in passing is not sent again.
        const shown = { name: 'preview', data: preview };
        preview = undefined;
        return shown;
      },
      onClose() {
        stop();
        open.delete(stream);
      },
      heartbeatMs,
    });
    if (isClosing) stream.end();
    open.add(stream);
    reply.headers({ 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' });
    return reply.send(stream.readable);
  };

  const find = async (capability: string): Promise<Progress> => {
    const [, id, key] = /^([0-9a-z]{1,64})-([0-9a-z]{32})$/.exec(capability) ?? [];
    const found = id && key ? await server.predictions.progress(id, key) : undefined;
    if (!found) throw notFound();
    if (found.dataRemoved) throw gone('The data of this prediction were removed, as its retention time is over.');
    return found;
  };

  // Without the HEAD that Fastify would derive, which never ends.
  app.route({
    method: 'GET',
    url: '/files/stream-:capability',
    exposeHeadRoute: false,
    config: { public: true, anyOrigin: true },
    handler: follow,
  });
}

function isOn(flag: string | undefined): boolean {
  return flag === '' || flag === '1' || flag === 'true';
}
