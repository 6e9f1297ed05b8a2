import { createReadStream } from 'node:fs';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { StoredFile } from '../../storage/files.ts';
import { isFileKey } from '../../storage/local-files.ts';
import { isPassive, unknownMediaType } from '../../storage/media-type.ts';
import { notFound } from '../errors.ts';
import { parseRange } from '../range.ts';
import type { Server } from '../server.ts';

type FileRequest = FastifyRequest<{ Params: { key: string; name: string } }>;

/**
 * Stored files at capability URLs: clients fetch them without a token, browsers show them in place and from any page.
 */
export function fileRoutes(app: FastifyInstance, server: Server): void {
  const deliver = async (request: FileRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const { key, name } = request.params;
    const file = isFileKey(key) ? await server.predictions.file(key) : undefined;
    if (!file || file.name !== name) throw notFound();
    const path = await server.files.path(key);
    reply.headers(fileHeaders(file));

    const etag = `"${file.sha256}"`;
    if (lists(request.headers['if-none-match'], etag)) return reply.code(304).send();

    const ifRange = request.headers['if-range'];
    const fresh = ifRange === undefined || ifRange === etag;
    const range = parseRange(fresh ? request.headers.range : undefined, file.size);
    if (range === 'unsatisfiable') return reply.code(416).header('content-range', `bytes */${file.size}`).send();
    const { start, end } = range ?? { start: 0, end: file.size - 1 };
    if (range) reply.code(206).header('content-range', `bytes ${start}-${end}/${file.size}`);
    reply.header('content-length', end - start + 1);
    return sendBytes(request, reply, path, start, end);
  };
  // HEAD is our own: the one that Fastify derives reads the whole file, or says that it is empty.
  app.route({
    method: ['GET', 'HEAD'],
    url: '/f/:key/:name',
    exposeHeadRoute: false,
    config: { public: true, anyOrigin: true },
    handler: deliver,
  });
}

function sendBytes(request: FileRequest, reply: FastifyReply, path: string, start: number, end: number): FastifyReply {
  if (request.method === 'HEAD' || end < start) return reply.send();
  return reply.send(createReadStream(path, { start, end }));
}

function fileHeaders({ contentType, name, sha256 }: StoredFile): Record<string, string> {
  const passive = isPassive(contentType);
  return {
    'content-type': passive ? contentType : unknownMediaType,
    // What is not known to be passive is saved, not shown: no script may run on this origin.
    'content-disposition': `${passive ? 'inline' : 'attachment'}; filename="${name.replace(/[^\w.-]/g, '_')}"`,
    'content-security-policy': "default-src 'none'; sandbox",
    'x-content-type-options': 'nosniff',
    'access-control-allow-origin': '*',
    'cross-origin-resource-policy': 'cross-origin',
    'accept-ranges': 'bytes',
    etag: `"${sha256}"`,
    // Bytes under a key never change. `private`: only the caller's own cache may outlive their removal.
    'cache-control': 'private, max-age=31536000, immutable',
  };
}

/** Whether a list of entity tags holds this one, weakly compared (RFC 9110 §13.1.2). */
function lists(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  return header.trim() === '*' || header.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag);
}
