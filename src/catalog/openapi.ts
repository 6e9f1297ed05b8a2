/**
 * The `openapi_schema` of a model version: what Cog derives from a Python signature, derived from the model's fields.
 * Clients read `components.schemas` alone, so `paths` stays empty, as in the documents of the public service.
 */
import { type Field, type Fields, isRequired } from './fields.ts';
import type { ModelDefinition, OutputKind } from './model.ts';

export type JsonSchema = { [keyword: string]: unknown };

export interface InputSchema extends JsonSchema {
  type: 'object';
  properties: Record<string, JsonSchema>;
  required: string[];
}

export interface OpenApiDocument {
  openapi: '3.0.2';
  info: { title: string; version: string };
  paths: Record<string, never>;
  components: { schemas: Record<string, JsonSchema> };
}

/** The Cog release whose schema layout is followed. Old clients treat lists as iterators below 0.3.9. */
export const cogVersion = '0.22.0';

export function openApiSchema(model: Pick<ModelDefinition, 'inputs' | 'output'>): OpenApiDocument {
  const { properties, ...rest } = inputSchema(model.inputs);
  const referenced: Record<string, JsonSchema> = {};
  const choices: Record<string, JsonSchema> = {};
  for (const [name, property] of Object.entries(properties)) {
    if (model.inputs[name]!.kind !== 'choice') {
      referenced[name] = property;
      continue;
    }
    const { type, enum: values, ...own } = property;
    referenced[name] = { allOf: [{ $ref: `#/components/schemas/${name}` }], ...own };
    choices[name] = { type, enum: values, title: name, description: 'An enumeration.' };
  }
  return {
    openapi: '3.0.2',
    info: { title: 'Cog', version: cogVersion },
    paths: {},
    components: {
      schemas: {
        Input: { ...rest, title: 'Input', properties: referenced },
        Output: outputSchema(model.output),
        ...choices,
        ...commonSchemas,
      },
    },
  };
}

/**
 * The inputs as one JSON Schema without references: what a request is checked against.
 *
 * Properties stand in alphabetical order, as in every document of the public service; the order of a form is
 * `x-order`, the order in which the model file lists its fields.
 */
export function inputSchema(fields: Fields): InputSchema {
  const names = Object.keys(fields);
  const properties: Record<string, JsonSchema> = {};
  for (const name of names.toSorted()) {
    const schema = propertySchema(name, fields[name]!);
    // The public service leaves out what nobody wrote.
    if (schema.description === '') delete schema.description;
    properties[name] = { ...schema, 'x-order': names.indexOf(name) };
  }
  return { type: 'object', properties, required: names.filter((name) => isRequired(fields[name]!)) };
}

function propertySchema(name: string, field: Field): JsonSchema {
  const description = field.description;
  const title = titleCase(name);
  switch (field.kind) {
    case 'text':
      return { type: 'string', title, description, ...defaultOf(field.default) };
    case 'number':
    case 'integer':
      return {
        type: field.kind,
        title,
        description,
        ...defaultOf(field.default),
        ...(field.minimum === undefined ? {} : { minimum: field.minimum }),
        ...(field.maximum === undefined ? {} : { maximum: field.maximum }),
      };
    case 'toggle':
      return { type: 'boolean', title, description, default: field.default };
    case 'choice': {
      const type = typeof field.choices[0] === 'number' ? 'integer' : 'string';
      return { type, enum: field.choices, description, ...defaultOf(field.default) };
    }
    case 'image':
      return { type: 'string', format: 'uri', title, description };
    case 'lora':
      return { type: 'string', title, description };
  }
}

function defaultOf(value: unknown): { default?: unknown } {
  return value === undefined ? {} : { default: value };
}

/** `num_outputs` becomes `Num Outputs`. */
function titleCase(name: string): string {
  return name
    .split('_')
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join(' ');
}

export function outputSchema(kind: OutputKind): JsonSchema {
  const file = { type: 'string', format: 'uri' };
  return kind === 'file' ? { ...file, title: 'Output' } : { type: 'array', items: file, title: 'Output' };
}

const dateTime = { type: 'string', format: 'date-time' };

/** The same in every document. */
const commonSchemas: Record<string, JsonSchema> = {
  PredictionRequest: {
    type: 'object',
    title: 'PredictionRequest',
    properties: {
      id: { type: 'string', title: 'Id' },
      input: { $ref: '#/components/schemas/Input' },
      created_at: { ...dateTime, title: 'Created At' },
      webhook: { type: 'string', title: 'Webhook', format: 'uri' },
      webhook_events_filter: {
        type: 'array',
        title: 'Webhook Events Filter',
        items: { $ref: '#/components/schemas/WebhookEvent' },
      },
    },
  },
  PredictionResponse: {
    type: 'object',
    title: 'PredictionResponse',
    properties: {
      id: { type: 'string', title: 'Id' },
      version: { type: 'string', title: 'Version' },
      status: { $ref: '#/components/schemas/Status' },
      input: { $ref: '#/components/schemas/Input' },
      output: { $ref: '#/components/schemas/Output' },
      logs: { type: 'string', title: 'Logs', default: '' },
      error: { type: 'string', title: 'Error' },
      metrics: { type: 'object', title: 'Metrics' },
      created_at: { ...dateTime, title: 'Created At' },
      started_at: { ...dateTime, title: 'Started At' },
      completed_at: { ...dateTime, title: 'Completed At' },
    },
  },
  Status: {
    type: 'string',
    title: 'Status',
    enum: ['starting', 'processing', 'succeeded', 'canceled', 'failed'],
    description: 'An enumeration.',
  },
  WebhookEvent: {
    type: 'string',
    title: 'WebhookEvent',
    enum: ['start', 'output', 'logs', 'completed'],
    description: 'An enumeration.',
  },
  HTTPValidationError: {
    type: 'object',
    title: 'HTTPValidationError',
    properties: {
      detail: { type: 'array', title: 'Detail', items: { $ref: '#/components/schemas/ValidationError' } },
    },
  },
  ValidationError: {
    type: 'object',
    title: 'ValidationError',
    required: ['loc', 'msg', 'type'],
    properties: {
      loc: { type: 'array', title: 'Location', items: { anyOf: [{ type: 'string' }, { type: 'integer' }] } },
      msg: { type: 'string', title: 'Message' },
      type: { type: 'string', title: 'Error Type' },
    },
  },
};
