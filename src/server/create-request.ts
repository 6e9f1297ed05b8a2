/** The body of a create request: what is allowed around `input`, and which model it names. */
import { Type } from 'typebox';
import { compileObjectCheck, type InvalidField } from '../catalog/validate.ts';
import { type WebhookEvent, webhookEvents } from '../webhooks/webhook.ts';
import { invalidInput } from './errors.ts';

const aroundInput = {
  input: Type.Object({}),
  webhook: Type.Optional(Type.String({ format: 'uri' })),
  webhook_events_filter: Type.Optional(Type.Array(Type.Enum([...webhookEvents]))),
};
const schemas = {
  'by version': Type.Object({ version: Type.String(), ...aroundInput }),
  'on model': Type.Object(aroundInput),
};
const checks = {
  'by version': compileObjectCheck(schemas['by version'], ''),
  'on model': compileObjectCheck(schemas['on model'], ''),
};

/** Sent by older clients; they mean nothing any more. */
const historical = ['stream', 'webhook_completed'];

/** A hostile body may hold millions; the first ones are enough to find the mistake. */
const mostUnknownKeys = 20;

export interface CreateRequest {
  /** Empty where the address names the model. */
  version: string;
  /** Not looked into yet. */
  input: Record<string, unknown>;
  /** Whether it may be called is not looked into yet. */
  webhook?: string;
  /** Each event once, in the order sent; absent when empty. */
  webhookEventsFilter?: readonly WebhookEvent[];
}

/** @throws Problem with every fault around `input` */
export function readCreateRequest(body: unknown, addressing: keyof typeof schemas): CreateRequest {
  const check = checks[addressing];
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw invalidInput(check(body ?? {}));
  const known: Record<string, unknown> = {};
  const unknown: InvalidField[] = [];
  for (const [name, value] of Object.entries(body)) {
    if (value === null || historical.includes(name)) continue;
    if (Object.hasOwn(schemas[addressing].properties, name)) known[name] = value;
    else if (unknown.length < mostUnknownKeys) unknown.push(notAllowed(name));
  }
  if (typeof known.webhook_events_filter === 'string') {
    // The published documents of the models type it as a string.
    const events = known.webhook_events_filter.split(',').map((event) => event.trim());
    known.webhook_events_filter = events.filter(Boolean);
  }
  const faults = [...check(known), ...unknown];
  if (faults.length > 0) throw invalidInput(faults);
  const { version = '', input, webhook, webhook_events_filter: filter = [] } = known as unknown as KnownBody;
  return {
    version,
    input,
    ...(webhook !== undefined && { webhook }),
    ...(filter.length > 0 && { webhookEventsFilter: [...new Set(filter)] }),
  };
}

/** What the checks have let through. */
interface KnownBody {
  version?: string;
  input: Record<string, unknown>;
  webhook?: string;
  webhook_events_filter?: WebhookEvent[];
}

function notAllowed(name: string): InvalidField {
  const shown = name.length > 100 ? `${name.slice(0, 100)}…` : name;
  return {
    type: 'additional_property_not_allowed',
    field: '',
    description: `Additional property ${shown} is not allowed`,
  };
}
