import type { FastifyInstance, FastifyRequest } from 'fastify';
import { lingerBeforeClose } from '../body.ts';
import { deliver } from '../deliver.ts';
import { forbidden, gone, noRoom, notFound, notMultipart, unsupportedMediaType, uploadTooLarge } from '../errors.ts';
import { pageJson, pageSize } from '../pagination.ts';
import { queryReader } from '../read-request.ts';
import { downloadQuery, filesQuery } from '../requests.ts';
import { originOf, type Server } from '../server.ts';
import { formOverhead, receiveUpload, type SizeLimit } from '../upload-form.ts';
import { type Signer, type UploadJson, uploadJson } from '../wire-upload.ts';

type IdRequest = FastifyRequest<{ Params: { id: string } }>;
const readFilesQuery = queryReader(filesQuery);
const readDownloadQuery = queryReader(downloadQuery);

/** Files that callers send, to name them as inputs. The public service calls them files; `/f/…` are stored files. */
export function uploadRoutes(app: FastifyInstance, server: Server): void {
  const { uploads, files, accounts, settings } = server;

  const signer = async (account: string): Promise<Signer> => ({
    username: (await accounts.account(account))!.username,
    filesSecret: await accounts.filesSecret(account),
  });
  const limitOf = async (account: string): Promise<SizeLimit> => {
    const room = await uploads.room(account);
    return room < settings.uploadMaxBytes
      ? { bytes: room, exceeded: noRoom(settings.uploadQuota!) }
      : { bytes: settings.uploadMaxBytes, exceeded: uploadTooLarge(settings.uploadMaxBytes) };
  };

  // The form is read by its route; no other address takes one.
  app.addContentTypeParser(
    multipart,
    (request: FastifyRequest, _body: unknown, done: (error: Error | null) => void) => {
      done(request.routeOptions.url === '/files' ? null : unsupportedMediaType());
    },
  );

  /** Before the body: what is refused by its head is not read. */
  const checkHead = async ({ headers }: FastifyRequest): Promise<void> => {
    if (!multipart.test(headers['content-type']?.toLowerCase() ?? '')) throw notMultipart();
    const most = settings.uploadMaxBytes;
    if (Number(headers['content-length']) > most + formOverhead) throw uploadTooLarge(most);
  };

  app.post('/files', { onRequest: checkHead, bodyLimit: Number.MAX_SAFE_INTEGER }, async (request, reply) => {
    const { account, raw } = request;
    const received = await receiveUpload(raw, files, await limitOf(account)).catch((error: unknown) => {
      // The rest of the body is not waited for.
      lingerBeforeClose(raw.socket);
      reply.header('connection', 'close');
      throw error;
    });
    const upload = await uploads.add({ account, ...received }).catch(async (error: unknown) => {
      await files.delete(received.key);
      throw error;
    });
    if (!upload) {
      await files.delete(received.key);
      throw noRoom(settings.uploadQuota!);
    }
    const answer = uploadJson(upload, originOf(request, settings), await signer(account));
    return reply.code(201).header('location', answer.urls.get).send(answer);
  });

  app.get('/files', async (request) => {
    const { account } = request;
    const origin = originOf(request, settings);
    const { rows, ...links } = await uploads.list(account, { ...readFilesQuery(request.query), limit: pageSize });
    const signedBy = await signer(account);
    return pageJson({ items: rows, ...links }, `${origin}/v1/files`, {}, (upload) =>
      uploadJson(upload, origin, signedBy),
    );
  });

  app.get('/files/:id', async (request: IdRequest): Promise<UploadJson> => {
    const upload = await uploads.get(request.account, request.params.id);
    if (!upload) throw notFound();
    return uploadJson(upload, originOf(request, settings), await signer(request.account));
  });

  app.delete('/files/:id', async (request: IdRequest, reply) => {
    if (!(await uploads.delete(request.account, request.params.id))) throw notFound();
    return reply.code(204).send();
  });

  // Without a token: the signature is the capability.
  app.route({
    method: ['GET', 'HEAD'],
    url: '/files/:id/download',
    exposeHeadRoute: false,
    config: { public: true, anyOrigin: true },
    handler: async (request: IdRequest, reply) => {
      const { signature, ...signed } = readDownloadQuery(request.query);
      const upload = await uploads.download({ ...signed, id: request.params.id }, signature);
      if (upload === 'refused') throw forbidden('The signature does not fit this address.');
      if (upload === 'expired') throw gone('The time for which this address was signed is over.');
      if (!upload) throw notFound();
      return deliver(request, reply, upload, files);
    },
  });
}

const multipart = /^multipart\/form-data *(?:;|$)/;
