/** What every address that makes predictions does, once it is known which model runs. */
import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { IdempotencyKey } from '../predictions/idempotency.ts';
import { isTerminal, type Prediction } from '../predictions/prediction.ts';
import { type PredictionJson, predictionJson } from '../predictions/prediction-json.ts';
import type { NewPrediction } from '../predictions/predictions.ts';
import { parseCancelAfter } from './cancel-after.ts';
import type { CatalogueEntry } from './catalogue.ts';
import type { CreateRequest } from './create-request.ts';
import { invalidHeader, invalidInput } from './errors.ts';
import { forget, storeInputFiles } from './input-files.ts';
import { parsePrefer } from './prefer.ts';
import { createResends } from './resends.ts';
import { originOf, type Server } from './server.ts';
import { checkWebhook } from './webhook-request.ts';
import { asStillStarting } from './wire.ts';

/** @param deployment `owner/name` of what it runs under */
export type CreatePrediction = (
  request: FastifyRequest,
  reply: FastifyReply,
  entry: CatalogueEntry,
  body: CreateRequest,
  deployment?: string,
) => Promise<PredictionJson>;

type Extras = Omit<NewPrediction, 'account' | 'model' | 'version' | 'input' | 'inputFiles' | 'source' | 'origin'>;

export function predictionCreator(server: Server): CreatePrediction {
  const resends = createResends<Prediction>();

  return async (request, reply, entry, body, deployment) => {
    const { account, headers } = request;
    const cancelAfterSeconds = parseCancelAfter(headers['cancel-after']);
    const key = parseIdempotencyKey(headers['idempotency-key']);
    const checked = entry.checkInput(body.input);
    if (checked.faults.length > 0) throw invalidInput(checked.faults);
    const { webhook: url, webhookEventsFilter } = body;
    const extras = {
      ...(url !== undefined && { webhook: await checkWebhook(url, server) }),
      ...(webhookEventsFilter && { webhookEventsFilter }),
      ...(deployment !== undefined && { deployment }),
      ...(cancelAfterSeconds !== undefined && { cancelAfterSeconds }),
      ...(isOn(headers['x-report-aborted']) && { reportsAborted: true }),
    };
    const digest = digestOf(request);
    const make = (identity?: IdempotencyKey): Promise<Prediction> =>
      keep(request, entry, checked.input, extras, identity);
    // A key says by itself what is the same.
    const prediction =
      key === undefined
        ? await resends.once(`${account} ${digest}`, reply, make)
        : await make({ key, request: digest });
    const wait = parsePrefer(headers.prefer);
    const answered = wait ? asStillStarting(await hold(prediction, wait.holdMs)) : prediction;
    const answer = predictionJson(answered, originOf(request, server.settings));
    reply.code(201).header('location', answer.urls.get);
    if (wait) reply.header('preference-applied', `wait=${wait.seconds}`);
    if (checked.ignored.length > 0) reply.header('x-ignored-inputs', headerList(checked.ignored));
    return answer;
  };

  async function keep(
    request: FastifyRequest,
    entry: CatalogueEntry,
    input: Record<string, unknown>,
    extras: Extras,
    key?: IdempotencyKey,
  ): Promise<Prediction> {
    const { predictions, files } = server;
    const caller = { account: request.account, origin: originOf(request, server.settings) };
    const earlier = key && (await predictions.underKey(request.account, key));
    if (earlier) return earlier;
    const stored = await storeInputFiles(input, entry.fileInputs, caller, server);
    const asked: NewPrediction = {
      ...caller,
      model: entry.slug,
      version: entry.model.version,
      input: stored.input,
      inputFiles: stored.files,
      ...(stored.fileInputs.length > 0 && { fileInputs: stored.fileInputs }),
      ...extras,
      source: 'api',
    };
    try {
      if (!key) return await predictions.create(asked);
      const { prediction, isNew } = await predictions.createOnce(asked, key);
      if (!isNew) await forget(stored.files, files);
      return prediction;
    } catch (error) {
      await forget(stored.files, files);
      throw error;
    }
  }

  /** Until the prediction ends, time is up or the server shuts down. A caller who leaves changes nothing. */
  async function hold(prediction: Prediction, timeoutMs: number): Promise<Prediction> {
    if (isTerminal(prediction.status)) return prediction;
    return (await server.predictions.waitForEnd(prediction.id, timeoutMs)) ?? prediction;
  }
}

/** Of all that decides what is made: equal for the same request, sent again. */
function digestOf({ url, headers, bodyDigest }: FastifyRequest): string {
  const parts = [url, headers['cancel-after'], headers['x-report-aborted'], bodyDigest];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

function parseIdempotencyKey(header: string | string[] | undefined): string | undefined {
  if (header === undefined) return undefined;
  const key = String(header);
  if (/^[\x21-\x7e]{1,255}$/.test(key)) return key;
  throw invalidHeader('Idempotency-Key', 'Idempotency-Key must be 1 to 255 characters of ASCII without spaces.');
}

function isOn(header: string | string[] | undefined): boolean {
  return header === '1' || header === 'true';
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
