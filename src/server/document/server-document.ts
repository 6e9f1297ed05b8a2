/** The OpenAPI 3.1 document of the whole server, made of the schemas that requests are checked against. */
import type { TSchema } from 'typebox';
import type { JsonSchema } from '../../catalog/openapi.ts';
import { problemAnswer } from './answers.ts';
import { fileOperations } from './file-operations.ts';
import { modelOperations } from './model-operations.ts';
import type { Answer, Header, Operation } from './operation.ts';
import { predictionOperations } from './prediction-operations.ts';
import { serverOperations } from './server-operations.ts';

const allOperations: readonly Operation[] = [
  ...predictionOperations,
  ...modelOperations,
  ...fileOperations,
  ...serverOperations,
];

export interface Document {
  openapi: '3.1.0';
  info: { title: string; version: string; description: string };
  servers: { url: string }[];
  security: Record<string, never[]>[];
  paths: Record<string, JsonSchema>;
  components: Record<string, Record<string, JsonSchema>>;
}

/** What an answer may be whatever was asked. */
const everywhere = [400, 429, 500];
const behindTheToken = [401, 403];
const withBody = [413, 415];
const withParameters = [414];

const problemNames: Record<number, string> = {
  400: 'The request cannot be read',
  401: 'The token is missing or wrong',
  403: 'Not allowed',
  404: 'There is no such thing, or it is not yours',
  409: 'It contradicts what there is',
  410: 'It was there and has been removed',
  413: 'The body is too large',
  414: 'A part of the address is too long',
  415: 'The body is of another media type',
  422: 'The request is understood and cannot be done',
  429: 'Too many requests',
  500: 'The server met an error of its own',
};

let everywhereTheSame: Omit<Document, 'servers'> | undefined;

/** @param origin where the reader reaches the server, without path */
export function serverDocument(origin: string): Document {
  everywhereTheSame ??= documentOf(allOperations);
  return { ...everywhereTheSame, servers: [{ url: `${origin}/v1` }] };
}

function documentOf(operations: readonly Operation[]): Omit<Document, 'servers'> {
  const schemas: Record<string, JsonSchema> = {};
  const paths: Record<string, JsonSchema> = {};
  for (const operation of operations) {
    const path = operation.path.replace(/:(\w+)/g, '{$1}');
    // OpenAPI 3.1 has no place for the method.
    const method = operation.method === 'query' ? 'x-query' : operation.method;
    paths[path] = { ...paths[path], [method]: operationObject(operation, schemas) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Darkroom',
      version: '1',
      description: "Predictions of image models over Replicate's HTTP API. Every address answers without `/v1` too.",
    },
    security: [{ token: [] }],
    paths,
    components: { schemas: sorted(schemas), securitySchemes },
  };
}

export const securitySchemes: Record<string, JsonSchema> = {
  token: { type: 'http', scheme: 'bearer', description: 'Eg: Bearer $REPLICATE_API_TOKEN. ' },
};

function operationObject(operation: Operation, schemas: Record<string, JsonSchema>): JsonSchema {
  const { id, tag, summary, description, body, query } = operation;
  const inPath = [...operation.path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name: name!,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
  const parameters = [
    ...inPath,
    ...(query ? queryParameters(query) : []),
    ...(operation.headers ?? []).map(headerParameter),
  ];
  const problems = [
    ...everywhere,
    ...(operation.public ? [] : behindTheToken),
    ...(body ? withBody : []),
    ...(inPath.length > 0 ? withParameters : []),
    ...(operation.problems ?? []),
  ].map((status): [number, Answer] => [
    status,
    { description: problemNames[status]!, schema: problemAnswer, mediaType: 'application/problem+json' },
  ]);
  const answers = [...Object.entries(operation.answers), ...problems];
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(description && { description }),
    ...(operation.public && { security: [] }),
    ...(parameters.length > 0 && { parameters }),
    ...(body && {
      requestBody: {
        required: !body.optional,
        content: { [body.mediaType ?? 'application/json']: { schema: referring(body.schema, schemas) } },
      },
    }),
    responses: Object.fromEntries(answers.map(([status, answer]) => [status, answerObject(answer, schemas)])),
  };
}

function queryParameters(query: { properties: Record<string, TSchema>; required?: readonly string[] }): JsonSchema[] {
  return Object.entries(query.properties).map(([name, property]) => {
    const { description, ...schema } = plain(property) as { description?: string };
    const required = query.required?.includes(name) ?? false;
    return { name, in: 'query', required, ...(description && { description }), schema };
  });
}

function headerParameter({ name, description }: Header): JsonSchema {
  return { name, in: 'header', required: false, description, schema: { type: 'string' } };
}

function answerObject(
  { description, schema, mediaType = 'application/json', headers }: Answer,
  schemas: Record<string, JsonSchema>,
): JsonSchema {
  return {
    description,
    ...(headers && {
      headers: Object.fromEntries(
        headers.map(({ name, description: says }) => [name, { description: says, schema: { type: 'string' } }]),
      ),
    }),
    ...(schema && { content: { [mediaType]: { schema: referring(schema, schemas) } } }),
  };
}

/** The schema with references in place of those that have an `$id`, which are added to `schemas`. */
function referring(schema: TSchema, schemas: Record<string, JsonSchema>): JsonSchema {
  return withReferences(plain(schema), schemas) as JsonSchema;
}

function withReferences(value: unknown, schemas: Record<string, JsonSchema>): unknown {
  if (Array.isArray(value)) return value.map((item) => withReferences(item, schemas));
  if (typeof value !== 'object' || value === null) return value;
  const { $id, ...rest } = value as { $id?: string };
  const inner = Object.fromEntries(Object.entries(rest).map(([name, item]) => [name, withReferences(item, schemas)]));
  if (typeof $id !== 'string') return inner;
  schemas[$id] = inner;
  return { $ref: `#/components/schemas/${$id}` };
}

/** JSON alone, without what TypeBox hides in its schemas. */
function plain(schema: TSchema): unknown {
  return JSON.parse(JSON.stringify(schema));
}

function sorted<Value>(record: Record<string, Value>): Record<string, Value> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}
