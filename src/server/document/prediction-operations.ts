import { type TSchema, Type } from 'typebox';
import { createBodies } from '../create-request.ts';
import { predictionsQuery, streamQuery } from '../requests.ts';
import { deliveryAnswer, emptyPage, page, predictionAnswer, rotatedSecretAnswer, secretAnswer } from './answers.ts';
import type { Header, Operation } from './operation.ts';

export const createHeaders: readonly Header[] = [
  { name: 'Prefer', description: '`wait` holds the reply for up to 60 seconds, `wait=N` for up to N.' },
  {
    name: 'Cancel-After',
    description: 'Seconds, or a duration such as `1h30m`, after which the prediction is given up.',
  },
  { name: 'Idempotency-Key', description: 'The same key makes the same prediction once within 24 hours.' },
  { name: 'X-Report-Aborted', description: '`true`: the status `aborted` is told as it is, and not as `canceled`.' },
  { name: 'X-Report-Aborted', description: '`1`: the status `aborted` is told as it is, and not as `canceled`.' },
];

const created = {
  description: 'The prediction, ended if it did within the time of `Prefer`',
  schema: predictionAnswer,
  headers: [
    { name: 'Location', description: 'Where the prediction is.' },
    { name: 'Preference-Applied', description: 'How long the reply was held at the most.' },
    { name: 'X-Ignored-Inputs', description: 'Keys of `input` that the model does not know.' },
  ],
};

const shared = { tag: 'predictions', headers: createHeaders, answers: { 201: created } };

/** What older clients send beside it is taken as well. */
export function inAnyForm(body: { properties: Record<string, TSchema>; required?: readonly string[] }): TSchema {
  const { webhook_events_filter: filter, ...properties } = body.properties;
  const { description, ...list } = filter as { description: string };
  return {
    ...body,
    properties: {
      ...properties,
      webhook_events_filter: {
        description,
        anyOf: [list, { type: 'string', description: 'The same with commas between.' }],
      },
      stream: {
        type: 'boolean',
        deprecated: true,
        description: 'Request a URL to receive streaming output using server-sent events (SSE).',
      },
    },
  } as TSchema;
}

export const predictionOperations: readonly Operation[] = [
  {
    ...shared,
    method: 'post',
    path: '/predictions',
    id: 'predictions.create',
    summary: 'Create a prediction',
    body: { schema: inAnyForm(createBodies['by version']) },
    problems: [422],
  },
  {
    ...shared,
    method: 'post',
    path: '/models/:owner/:name/predictions',
    id: 'models.predictions.create',
    summary: "Create a prediction with a model's latest version",
    body: { schema: inAnyForm(createBodies['on model']) },
    problems: [404, 422],
  },
  {
    ...shared,
    method: 'post',
    path: '/deployments/:owner/:name/predictions',
    id: 'deployments.predictions.create',
    summary: 'Create a prediction with a deployment',
    body: { schema: inAnyForm(createBodies['on model']) },
    problems: [404, 422],
  },
  {
    method: 'get',
    path: '/predictions',
    id: 'predictions.list',
    tag: 'predictions',
    summary: "List one's own predictions",
    query: predictionsQuery,
    answers: { 200: { description: 'A page, the newest first', schema: page(predictionAnswer) } },
    problems: [422],
  },
  {
    method: 'get',
    path: '/predictions/:id',
    id: 'predictions.get',
    tag: 'predictions',
    summary: 'Get a prediction as it stands',
    answers: { 200: { description: 'The prediction', schema: predictionAnswer } },
    problems: [404],
  },
  {
    method: 'post',
    path: '/predictions/:id/cancel',
    id: 'predictions.cancel',
    tag: 'predictions',
    summary: 'Cancel a prediction',
    description: 'A running prediction ends soon after; one that has ended stays as it is.',
    answers: { 200: { description: 'The prediction', schema: predictionAnswer } },
    problems: [404],
  },
  {
    method: 'get',
    path: '/files/stream-:capability',
    id: 'predictions.stream',
    tag: 'predictions',
    summary: 'Follow a prediction by server-sent events',
    description:
      'At the address in `urls.stream`. The events are `output`, `error` and `done`, and `logs` and `preview` where asked for.',
    query: streamQuery,
    headers: [{ name: 'Last-Event-ID', description: 'The last event that was seen; the stream goes on after it.' }],
    answers: {
      200: { description: 'Events', mediaType: 'text/event-stream', schema: Type.String() },
      204: { description: 'The last event has been seen: there are no more' },
    },
    problems: [404, 410],
    public: true,
  },
  {
    method: 'get',
    path: '/predictions/:id/deliveries',
    id: 'predictions.deliveries.list',
    tag: 'webhooks',
    summary: "List the deliveries of a prediction's last webhook",
    answers: { 200: { description: 'A page', schema: page(deliveryAnswer) } },
    problems: [404],
  },
  {
    method: 'post',
    path: '/predictions/:id/deliveries/:delivery/repeat',
    id: 'predictions.deliveries.repeat',
    tag: 'webhooks',
    summary: 'Deliver a webhook once more',
    answers: { 202: { description: 'The delivery', schema: deliveryAnswer } },
    problems: [404, 410],
  },
  {
    method: 'get',
    path: '/webhooks/default/secret',
    id: 'webhooks.default.secret.get',
    tag: 'webhooks',
    summary: 'Get the secret that webhooks are signed with',
    answers: { 200: { description: 'The secret', schema: secretAnswer } },
  },
  {
    method: 'post',
    path: '/webhooks/default/secret/rotate',
    id: 'webhooks.default.secret.rotate',
    tag: 'webhooks',
    summary: 'Make a new secret',
    description: 'Webhooks are signed with the old one as well until `previous_valid_until`.',
    answers: { 200: { description: 'The new secret', schema: rotatedSecretAnswer } },
  },
  {
    method: 'get',
    path: '/trainings',
    id: 'trainings.list',
    tag: 'trainings',
    summary: 'List trainings, of which there are none',
    answers: { 200: { description: 'An empty page', schema: emptyPage } },
  },
  {
    method: 'get',
    path: '/trainings/:id',
    id: 'trainings.get',
    tag: 'trainings',
    summary: 'Get a training, of which there are none',
    answers: {},
    problems: [404],
  },
  {
    method: 'post',
    path: '/trainings/:id/cancel',
    id: 'trainings.cancel',
    tag: 'trainings',
    summary: 'Cancel a training, of which there are none',
    answers: {},
    problems: [404],
  },
  {
    method: 'post',
    path: '/models/:owner/:name/versions/:version/trainings',
    id: 'trainings.create',
    tag: 'trainings',
    summary: 'Train a model: refused, as this server trains nothing',
    body: { schema: Type.Object({}), optional: true },
    answers: {},
    problems: [404, 422],
  },
];
