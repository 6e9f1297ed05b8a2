/** The OpenAPI document of the server: whole, valid and true. Numbers are those of docs/api.md. */
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Document } from '../../src/server/document/server-document.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let document: Document;
beforeAll(async () => {
  server = await startTestServer({ concurrency: 0 });
  document = await read('/openapi.json');
});
afterAll(() => server?.close());

async function read<Body>(path: string): Promise<Body> {
  const answer = await fetch(`${server.origin}/v1${path}`);
  expect(answer.status).toBe(200);
  return (await answer.json()) as Body;
}

describe('S88 the document of the server', () => {
  test('is a valid OpenAPI 3.1 document', async () => {
    const validator = new Validator();
    expect(await validator.validate(structuredClone(document) as object as Record<string, unknown>)).toEqual({
      valid: true,
    });
    expect(validator.version).toBe('3.1');
    expect(document.servers).toEqual([{ url: `${server.origin}/v1` }]);
  });

  test('has every operation of the server and no other', () => {
    const documented = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.keys(item).map((method) => `${method.replace('x-', '').toUpperCase()} ${path}`),
    );
    const answered = [...server.answered]
      .filter(([path]) => !path.startsWith('/admin/'))
      .flatMap(([path, methods]) =>
        methods.filter((method) => method !== 'HEAD').map((method) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`),
      );
    expect(documented.toSorted()).toEqual(answered.toSorted());
  });

  test('has one operationId for each operation', () => {
    const ids = Object.values(document.paths).flatMap((item) =>
      Object.values(item as Record<string, { operationId: string }>).map(({ operationId }) => operationId),
    );
    expect(new Set(ids).size).toBe(ids.length);
  });

  test('needs no token, and says where one is needed', async () => {
    const closed = await startTestServer({ apiTokens: ['r8_x'], concurrency: 0 });
    try {
      expect((await fetch(`${closed.origin}/openapi.json`)).status).toBe(200);
      expect((await fetch(`${closed.origin}/models/test/echo/openapi.json`)).status).toBe(401);
    } finally {
      await closed.close();
    }
    expect(document.security).toEqual([{ token: [] }]);
    expect((document.paths['/healthz']!.get as { security: unknown }).security).toEqual([]);
  });
});

describe('S88 answers are as the document says', () => {
  const version = 'e'.repeat(64);
  const deployment = {
    name: 'shown',
    model: 'test/echo',
    version,
    hardware: 'cpu',
    min_instances: 0,
    max_instances: 1,
  };
  const made = { prediction: '' };

  test.each<[method: string, path: string, route: string, status: number, body?: unknown]>([
    ['POST', '/predictions', '/predictions', 201, { version, input: {}, webhook_events_filter: 'start' }],
    ['POST', '/predictions', '/predictions', 422, { input: 7, other: 1 }],
    ['POST', '/models/test/echo/predictions', '/models/{owner}/{name}/predictions', 201, { input: {} }],
    ['GET', '/predictions', '/predictions', 200],
    ['GET', '/predictions?created_after=yesterday', '/predictions', 422],
    ['GET', '/predictions/{id}', '/predictions/{id}', 200],
    ['GET', '/predictions/none', '/predictions/{id}', 404],
    ['POST', '/predictions/{id}/cancel', '/predictions/{id}/cancel', 200],
    ['GET', '/predictions/{id}/deliveries', '/predictions/{id}/deliveries', 200],
    ['GET', '/models', '/models', 200],
    ['POST', '/models', '/models', 422, {}],
    ['GET', '/models/rossjillian/controlnet', '/models/{owner}/{name}', 200],
    ['PATCH', '/models/test/echo', '/models/{owner}/{name}', 403, {}],
    ['GET', '/models/test/echo/versions', '/models/{owner}/{name}/versions', 200],
    ['GET', `/models/test/echo/versions/${version}`, '/models/{owner}/{name}/versions/{version}', 200],
    ['GET', '/models/test/echo/examples', '/models/{owner}/{name}/examples', 200],
    ['GET', '/search?query=structure', '/search', 200],
    ['GET', '/search', '/search', 422],
    ['GET', '/collections', '/collections', 200],
    ['GET', '/collections/structure', '/collections/{slug}', 200],
    ['GET', '/hardware', '/hardware', 200],
    ['POST', '/deployments', '/deployments', 200, deployment],
    ['POST', '/deployments', '/deployments', 409, deployment],
    ['GET', '/deployments', '/deployments', 200],
    ['GET', '/deployments/local/shown', '/deployments/{owner}/{name}', 200],
    ['PATCH', '/deployments/local/shown', '/deployments/{owner}/{name}', 200, { max_instances: 2 }],
    ['POST', '/deployments/local/shown/predictions', '/deployments/{owner}/{name}/predictions', 201, { input: {} }],
    ['GET', '/trainings', '/trainings', 200],
    ['GET', '/files', '/files', 200],
    ['GET', '/files/none', '/files/{id}', 404],
    ['POST', '/files', '/files', 415, {}],
    ['GET', '/account', '/account', 200],
    ['GET', '/webhooks/default/secret', '/webhooks/default/secret', 200],
    ['POST', '/webhooks/default/secret/rotate', '/webhooks/default/secret/rotate', 200],
    ['GET', '/healthz', '/healthz', 200],
    ['GET', '/readyz', '/readyz', 200],
  ])('%s %s', async (method, path, route, status, body) => {
    const answer = await fetch(`${server.origin}/v1${path.replace('{id}', made.prediction)}`, {
      method,
      ...(body !== undefined && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    const json = (await answer.json()) as { id: string };
    expect([answer.status, json]).toEqual([status, expect.anything()]);
    if (route === '/predictions' && status === 201) made.prediction = json.id;
    const validate = validatorOf(method.toLowerCase(), route, status);
    expect(validate(json) ? [] : validate.errors).toEqual([]);
  });

  test('also when nonsense is asked: no other status, and none of the server’s own faults', async () => {
    const words = ['none', '%00', '%ED%A0%80', '..%2F..', 'a'.repeat(400), '%F0%9F%98%80', "';--", '{}'];
    const bodies = ['{}', '[]', '"x"', '{"input":{"a":[[[]]]},"version":"\\u0000","name":7,"max_instances":1e99}', '{'];
    const found: string[] = [];
    for (const [path, item] of Object.entries(document.paths)) {
      for (const [name, operation] of Object.entries(
        item as Record<string, { responses: object; requestBody?: object }>,
      )) {
        const method = name.replace('x-', '').toUpperCase();
        const asked = words.map(async (word, index) => {
          const body = bodies[index % bodies.length]!;
          const query =
            index % 2 ? `?cursor=${word}&query=${word}&limit=${word}&created_after=${word}&owner=${word}` : '';
          const answer = await fetch(`${server.origin}/v1${path.replace(/\{\w+\}/g, word)}${query}`, {
            method,
            ...(operation.requestBody && { body, headers: { 'content-type': 'application/json' } }),
          });
          await answer.arrayBuffer();
          if (answer.status >= 500 || !(answer.status in operation.responses)) {
            found.push(`${method} ${path} with ${word.slice(0, 20)} and ${body.slice(0, 20)}: ${answer.status}`);
          }
        });
        await Promise.all(asked);
      }
    }
    expect(found).toEqual([]);
  });

  /** Of the whole document, and strict: nothing may be answered that is not in it. */
  function validatorOf(method: string, route: string, status: number): ValidateFunction {
    const operation = document.paths[route]![method] as { responses: Record<string, { content: object }> };
    const content = Object.values(operation.responses[status]!.content) as { schema: object }[];
    const components = { schemas: document.components.schemas };
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    return ajv.compile(closed({ ...content[0]!.schema, components }) as object);
  }

  function closed(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(closed);
    if (typeof value !== 'object' || value === null) return value;
    const inner = Object.fromEntries(Object.entries(value).map(([name, item]) => [name, closed(item)]));
    const hasProperties = inner.type === 'object' && Object.keys(inner.properties ?? {}).length > 0;
    return hasProperties ? { ...inner, additionalProperties: false } : inner;
  }
});
