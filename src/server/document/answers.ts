/**
 * What the server answers, as schemas. Those with an `$id` become components of the OpenAPI document; a test holds them
 * against the types that the routes answer with.
 */
import { type TSchema, Type } from 'typebox';

function orNull<Schema extends TSchema>(schema: Schema) {
  return Type.Union([schema, Type.Null()]);
}

const text = Type.String();
const time = Type.String({ format: 'date-time' });
const uri = Type.String({ format: 'uri' });
const anything = Type.Object({});

export function page<Item extends TSchema>(item: Item) {
  return Type.Object({ next: orNull(uri), previous: orNull(uri), results: Type.Array(item) });
}

/** A page that is always empty. */
export const emptyPage = page(anything);

export const predictionAnswer = Type.Object(
  {
    id: text,
    model: Type.String({ description: '`owner/name`.' }),
    version: Type.String({ description: '64 hex digits.' }),
    input: Type.Object({}, { description: 'As it was sent, with files as URLs; empty once the data are removed.' }),
    logs: text,
    output: Type.Unknown({
      description: 'What the model made, with files as URLs; null until the prediction has ended.',
    }),
    data_removed: Type.Boolean(),
    error: orNull(text),
    source: Type.Enum(['api', 'web']),
    deployment: Type.Optional(Type.String({ description: '`owner/name`; only of predictions that run under one.' })),
    status: Type.Enum(['starting', 'processing', 'succeeded', 'failed', 'canceled', 'aborted']),
    created_at: time,
    started_at: orNull(time),
    completed_at: orNull(time),
    deadline: Type.Optional(Type.String({ format: 'date-time', description: 'Only where one was given.' })),
    metrics: Type.Record(text, Type.Number()),
    urls: Type.Record(text, text),
    webhook: Type.Optional(text),
    webhook_events_filter: Type.Optional(Type.Array(Type.Enum(['start', 'output', 'logs', 'completed']))),
  },
  { $id: 'Prediction' },
);

export const versionAnswer = Type.Object(
  {
    id: text,
    created_at: time,
    cog_version: text,
    openapi_schema: Type.Object({}, { description: 'An OpenAPI 3.0.2 document; look at `components.schemas.Input`.' }),
  },
  { $id: 'Version' },
);

export const weightsAnswer = Type.Object({
  repository: text,
  license: text,
  commercial_use: Type.Boolean(),
  present: Type.Boolean({ description: "Whether every file is on the server's disk." }),
  files: Type.Array(
    Type.Object({ path: text, present: Type.Boolean(), size: orNull(Type.Integer()), sha256: orNull(text) }),
  ),
  get: orNull(Type.String({ description: 'How to have the files that are missing.' })),
});

export const modelAnswer = Type.Object(
  {
    url: uri,
    owner: text,
    name: text,
    description: text,
    visibility: Type.Literal('public'),
    is_official: Type.Boolean(),
    github_url: orNull(text),
    paper_url: orNull(text),
    weights_url: orNull(text),
    license_url: orNull(text),
    run_count: Type.Integer(),
    cover_image_url: orNull(text),
    default_example: Type.Null(),
    latest_version: versionAnswer,
    created_at: time,
    weights: Type.Optional(
      Type.Array(weightsAnswer, { description: 'Only of a model that is asked for by its address.' }),
    ),
  },
  { $id: 'Model' },
);

export const collectionAnswer = Type.Object({ slug: text, name: text, description: text }, { $id: 'Collection' });

export const wholeCollectionAnswer = Type.Object({
  slug: text,
  name: text,
  description: text,
  full_description: text,
  models: Type.Array(modelAnswer),
});

export const foundModelAnswer = Type.Object({
  model: modelAnswer,
  metadata: Type.Object({ generated_description: text, score: Type.Number(), tags: Type.Array(text) }),
});

export const searchAnswer = Type.Object({
  query: text,
  models: Type.Array(foundModelAnswer),
  collections: Type.Array(collectionAnswer),
  pages: Type.Array(anything),
});

export const accountAnswer = Type.Object(
  {
    type: Type.Enum(['user', 'organization']),
    username: text,
    name: text,
    github_url: orNull(text),
    avatar_url: orNull(text),
  },
  { $id: 'Account' },
);

export const deploymentAnswer = Type.Object(
  {
    owner: text,
    name: text,
    current_release: Type.Object({
      number: Type.Integer(),
      model: text,
      version: text,
      created_at: time,
      created_by: accountAnswer,
      configuration: Type.Object({
        hardware: text,
        min_instances: Type.Integer(),
        max_instances: Type.Integer(),
      }),
    }),
  },
  { $id: 'Deployment' },
);

export const hardwareAnswer = Type.Object({ sku: text, name: text }, { $id: 'Hardware' });

export const deliveryAnswer = Type.Object(
  {
    id: Type.String({ description: 'The header `webhook-id`.' }),
    status: Type.Enum(['waiting', 'delivered', 'failed']),
    created_at: time,
    next_attempt_at: orNull(time),
    delivered_at: orNull(time),
    attempts: Type.Array(
      Type.Object({
        started_at: time,
        seconds: Type.Number(),
        status: orNull(Type.Integer()),
        error: orNull(text),
      }),
    ),
  },
  { $id: 'Delivery' },
);

export const uploadAnswer = Type.Object(
  {
    id: text,
    name: Type.String({ description: 'As the caller called it.' }),
    content_type: Type.String({ description: 'By the bytes; where they say nothing, what the caller said.' }),
    size: Type.Integer({ description: 'Bytes.' }),
    etag: Type.String({ description: 'MD5 of the bytes, hex.' }),
    checksums: Type.Object({ sha256: text, md5: text }, { description: 'Hex.' }),
    metadata: Type.Record(text, Type.Unknown(), { description: 'As it was sent.' }),
    created_at: time,
    expires_at: time,
    urls: Type.Object({
      get: Type.String({ format: 'uri', description: 'May be named as an input.' }),
      download: Type.String({ format: 'uri', description: 'The bytes, without a token, until the file expires.' }),
    }),
  },
  { $id: 'File' },
);

export const secretAnswer = Type.Object({ key: text });
export const rotatedSecretAnswer = Type.Object({ key: text, previous_valid_until: time });
export const healthAnswer = Type.Object({ status: text });
export const readyAnswer = Type.Object({ status: text, queued: Type.Integer() });
export const notReadyAnswer = Type.Object({ status: text, reasons: Type.Array(text) });

export const problemAnswer = Type.Object(
  {
    title: Type.Optional(text),
    detail: text,
    status: Type.Integer({ description: 'The status of the reply.' }),
    invalid_fields: Type.Optional(Type.Array(Type.Object({ type: text, field: text, description: text }))),
    retry_after: Type.Optional(Type.Integer({ description: 'Seconds.' })),
  },
  { $id: 'Problem' },
);
