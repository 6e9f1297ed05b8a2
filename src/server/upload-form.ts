/** The form of `POST /files`: its file goes to the store while it arrives, whatever the size. */
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { Busboy, type BusboyHeaders, type BusboyInstance } from '@fastify/busboy';
import type { InvalidField } from '../catalog/validate.ts';
import type { FileStore, StoredFile } from '../storage/files.ts';
import { endingOf, isPassive, unknownMediaType } from '../storage/media-type.ts';
import { badRequest, invalidInput, type Problem } from './errors.ts';
import { baseName, readMediaType, readMetadata, tooLong } from './upload-fields.ts';

/** A file takes two to four. */
const mostParts = 20;
const mostFieldBytes = 64 * 1024;
const mostHeaderBytes = 16 * 1024;

/** What the form takes beside its file, at the most. */
export const formOverhead = mostParts * (mostFieldBytes + mostHeaderBytes);

export interface ReceivedUpload extends StoredFile {
  /** Where the bytes say nothing, what the caller said. */
  contentType: string;
  md5: string;
  metadata: Record<string, unknown>;
}

/** Turns away more bytes than the caller may send; an answer that says so. */
export interface SizeLimit {
  bytes: number;
  exceeded: Problem;
}

interface FilePart {
  fileName: string | undefined;
  label: string;
  bytes: Readable;
  md5: () => string;
  stored: Promise<StoredFile>;
}

/** @throws Problem; nothing is left in the store then */
export async function receiveUpload(
  body: IncomingMessage,
  store: FileStore,
  limit: SizeLimit,
): Promise<ReceivedUpload> {
  const fields = new Map<string, string>();
  const part: { content?: FilePart } = {};
  try {
    await readForm(body, fields, (bytes, fileName, label) => {
      const hash = createHash('md5');
      const stored = store.put(
        fileName ?? '',
        measured(bytes, limit, (chunk) => hash.update(chunk)),
      );
      part.content = { fileName, label, bytes, md5: () => hash.digest('hex'), stored };
      return stored;
    });
    return await describe(part.content, fields);
  } catch (error) {
    part.content?.bytes.destroy();
    const stored = await part.content?.stored.catch(() => undefined);
    if (stored) await store.delete(stored.key);
    throw error;
  }
}

/** Resolves when the whole form was read and its file is stored. */
function readForm(
  body: IncomingMessage,
  fields: Map<string, string>,
  keep: (bytes: Readable, fileName: string | undefined, label: string) => Promise<StoredFile>,
): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    const form = openForm(body);
    let stored: Promise<unknown> | undefined;
    let failed = false;
    const fail = (error: unknown): void => {
      failed = true;
      body.unpipe(form);
      // Read and thrown away, until the connection is closed: the caller may still be sending.
      body.resume();
      reject(error);
    };
    form.on('file', (_field, bytes, fileName, _encoding, label) => {
      // Without a listener an error that comes late would end the process.
      bytes.on('error', () => {});
      if (failed) return bytes.destroy();
      stored = keep(bytes, fileName as string | undefined, label);
      stored.catch(fail);
    });
    form.on('field', (name: string | undefined, value, _nameCut, cut) => {
      if (name === undefined) return;
      if (cut) fail(invalidInput([tooLong(name, mostFieldBytes)]));
      else fields.set(name, value);
    });
    form.on('filesLimit', () =>
      fail(badRequest('The form has more than one part "content"; send one file a request.')),
    );
    form.on('partsLimit', () => fail(badRequest(`The form has more than ${mostParts} parts.`)));
    form.on('error', () => fail(badRequest('The body is no multipart form, or it ends before its last boundary.')));
    // Both ways in which a connection can break; nobody is there to read the answer.
    const brokeOff = (): void => {
      if (!body.complete) fail(badRequest('The request broke off before its end.'));
    };
    body.on('error', brokeOff);
    body.on('close', brokeOff);
    form.on('finish', () => resolve(stored?.then(() => {})));
    if (body.destroyed) brokeOff();
    body.pipe(form);
  });
}

function openForm({ headers }: IncomingMessage): BusboyInstance {
  try {
    return new Busboy({
      headers: headers as BusboyHeaders,
      // Some clients send the metadata as a file of its own; only the content is one.
      isPartAFile: (field) => field === 'content',
      preservePath: true,
      limits: { files: 1, parts: mostParts, fieldSize: mostFieldBytes, headerSize: mostHeaderBytes },
    });
  } catch {
    throw badRequest('The Content-Type names no boundary; let the HTTP library write this header itself.');
  }
}

async function* measured(
  bytes: AsyncIterable<Uint8Array>,
  { bytes: most, exceeded }: SizeLimit,
  see: (chunk: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  let size = 0;
  for await (const chunk of bytes) {
    size += chunk.length;
    if (size > most) throw exceeded;
    see(chunk);
    yield chunk;
  }
}

/** @throws Problem with every fault of the fields */
async function describe(content: FilePart | undefined, fields: ReadonlyMap<string, string>): Promise<ReceivedUpload> {
  const faults: InvalidField[] = [];
  if (!content) faults.push({ type: 'required', field: '', description: 'content is required' });
  const metadata = readMetadata(fields, faults);
  const name = baseName(fields.get('filename') ?? content?.fileName ?? '', faults);
  const label = readMediaType(fields.get('type') ?? content?.label ?? unknownMediaType, faults);
  if (!content || faults.length > 0) throw invalidInput(faults);
  const stored = await content.stored;
  const { contentType: sniffed } = stored;
  // A label that claims a kind which the bytes would show to be true is a false one.
  const believed = sniffed === unknownMediaType && !isPassive(label) ? label : sniffed;
  return {
    ...stored,
    name: name || `file${endingOf(sniffed)}`,
    contentType: believed,
    md5: content.md5(),
    metadata,
  };
}
