/** The body of a create request: what is allowed around `input`, and which model it names. */
import { Type } from 'typebox';
import { compileObjectCheck, type InvalidField } from '../catalog/validate.ts';
import { invalidInput, notAvailable } from './errors.ts';

const aroundInput = {
  input: Type.Object({}),
  webhook: Type.Optional(Type.String({ format: 'uri' })),
  webhook_events_filter: Type.Optional(Type.Array(Type.Enum(['start', 'output', 'logs', 'completed']))),
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
    known.webhook_events_filter = known.webhook_events_filter.split(',').map((event) => event.trim());
  }
  const faults = [...check(known), ...unknown];
  if (faults.length > 0) throw invalidInput(faults);
  if (known.webhook !== undefined) {
    throw notAvailable(
      'Webhooks are not available',
      'This server does not send webhooks yet, so "webhook" is refused rather than ignored. ' +
        'Leave it out, and wait with the header "Prefer: wait" or poll the URL in "urls.get".',
    );
  }
  return { version: (known.version as string | undefined) ?? '', input: known.input as Record<string, unknown> };
}

function notAllowed(name: string): InvalidField {
  const shown = name.length > 100 ? `${name.slice(0, 100)}…` : name;
  return {
    type: 'additional_property_not_allowed',
    field: '',
    description: `Additional property ${shown} is not allowed`,
  };
}
