/** Stored files as answers: whole, in part, or not at all where the reader has them already. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { FileStore, StoredFile } from '../storage/files.ts';
import { isPassive, unknownMediaType } from '../storage/media-type.ts';
import { parseRange } from './range.ts';

/** @throws NotFoundError when the bytes are gone */
export async function deliver(
  { method, headers }: FastifyRequest,
  reply: FastifyReply,
  file: StoredFile,
  store: FileStore,
): Promise<FastifyReply> {
  const etag = `"${file.sha256}"`;
  const fresh = headers['if-range'] === undefined || headers['if-range'] === etag;
  const range = parseRange(fresh ? headers.range : undefined, file.size);
  const isKnown = lists(headers['if-none-match'], etag);
  const { start, end } = range && range !== 'unsatisfiable' ? range : { start: 0, end: file.size - 1 };
  const isEmpty = method === 'HEAD' || isKnown || range === 'unsatisfiable' || end < start;
  // Before the headers: an error has headers of its own.
  const bytes = isEmpty ? undefined : await store.read(file.key, { start, end });

  reply.headers(fileHeaders(file));
  if (isKnown) return reply.code(304).send();
  if (range === 'unsatisfiable') return reply.code(416).header('content-range', `bytes */${file.size}`).send();
  if (range) reply.code(206).header('content-range', `bytes ${start}-${end}/${file.size}`);
  return reply.header('content-length', end - start + 1).send(bytes);
}

function fileHeaders({ contentType, name, sha256 }: StoredFile): Record<string, string> {
  const passive = isPassive(contentType);
  return {
    'content-type': passive ? contentType : unknownMediaType,
    // What is not known to be passive is saved, not shown: no script may run on this origin.
    'content-disposition': `${passive ? 'inline' : 'attachment'}; ${fileNameParameters(name)}`,
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

/** RFC 6266: for everybody in ASCII, and whole where that is not the same. */
function fileNameParameters(name: string): string {
  const plain = name.replace(/[^\w.-]/g, '_');
  if (plain === name) return `filename="${plain}"`;
  const whole = encodeURIComponent(name).replace(/['()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16)}`);
  return `filename="${plain}"; filename*=UTF-8''${whole}`;
}

/** Whether a list of entity tags holds this one, weakly compared (RFC 9110 §13.1.2). */
function lists(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  return header.trim() === '*' || header.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag);
}
