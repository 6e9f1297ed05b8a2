/**
 * The OpenAPI 3.1 document of one model: how to run it, with its inputs. It says what the published document of the model
 * says, in the same words (`tools/compare-seeds.js`), of the schemas that requests are checked against.
 */
import type { TSchema } from 'typebox';
import { type JsonSchema, outputSchema } from '../../catalog/openapi.ts';
import type { CatalogueEntry } from '../catalogue.ts';
import { createBodies } from '../create-request.ts';
import { page, predictionAnswer, problemAnswer } from './answers.ts';
import { inAnyForm } from './prediction-operations.ts';
import { type Document, securitySchemes } from './server-document.ts';

/** @param origin where the reader reaches the server, without path */
export function modelDocument({ model, slug, inputSchema }: CatalogueEntry, origin: string): Document {
  const {
    input: _any,
    version,
    ...around
  } = (inAnyForm(createBodies['by version']) as { properties: Properties }).properties;
  const body = {
    type: 'object',
    required: ['input', 'version'],
    properties: {
      input: inputSchema,
      version: { ...version, description: `Eg: ${model.version}. The ID of the model version` },
      ...around,
    },
  };
  const { properties } = plain(predictionAnswer) as { properties: Properties };
  const ended = outputSchema(model.output);
  const prediction = {
    ...plain(predictionAnswer),
    properties: { ...properties, output: { anyOf: [ended, { type: 'null' }] } },
  };
  const one = answers(200, { $ref: '#/components/schemas/Prediction' });
  return {
    openapi: '3.1.0',
    info: { title: slug, version: '1.0.0', description: model.description },
    servers: [{ url: `${origin}/v1` }],
    security: [{ token: [] }],
    paths: {
      '/predictions': {
        get: {
          ...named('List the first page of your predictions'),
          responses: answers(200, plain(page(predictionAnswer))),
        },
        post: {
          ...named('Create a prediction and get the output.'),
          requestBody: { required: true, content: { 'application/json': { schema: plain(body) } } },
          responses: answers(201, { $ref: '#/components/schemas/Prediction' }),
        },
      },
      '/predictions/{prediction_id}': {
        get: {
          ...named('Get the latest version of a prediction by id'),
          parameters: [predictionId('The ID of the prediction to get')],
          responses: one,
        },
      },
      '/predictions/{prediction_id}/cancel': {
        post: {
          ...named('Cancel an in progress prediction'),
          parameters: [predictionId('The ID of the prediction to cancel')],
          responses: one,
        },
      },
    },
    components: { schemas: { Prediction: prediction, Problem: plain(problemAnswer) }, securitySchemes },
  };
}

type Properties = Record<string, JsonSchema>;

function named(summary: string): JsonSchema {
  return { summary, description: summary };
}

function predictionId(description: string): JsonSchema {
  return { name: 'prediction_id', in: 'path', required: true, description, schema: { type: 'string' } };
}

function answers(status: number, schema: JsonSchema): JsonSchema {
  const problem = { schema: { $ref: '#/components/schemas/Problem' } };
  return {
    [status]: { description: 'successful operation', content: { 'application/json': { schema } } },
    default: { description: 'a problem', content: { 'application/problem+json': problem } },
  };
}

/** JSON alone: without what TypeBox hides in its schemas, and without the names that it knows them by. */
function plain(schema: TSchema | object): JsonSchema {
  return JSON.parse(JSON.stringify(schema), (key, value) => (key === '$id' ? undefined : value));
}
