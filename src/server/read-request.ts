/** Bodies and queries, checked against the schemas that the OpenAPI document shows. */
import type { Static, TObject } from 'typebox';
import { compileObjectCheck, type InvalidField } from '../catalog/validate.ts';
import { invalidInput } from './errors.ts';

/** A hostile body may hold millions; the first ones are enough to find the mistake. */
const mostUnknownKeys = 20;

/** Reads a JSON body. Null is absent; keys that the schema does not have are faults. @throws Problem with every fault */
export function bodyReader<Schema extends TObject>(schema: Schema): (body: unknown) => Static<Schema> {
  const check = compileObjectCheck(schema, '');
  return (body) => {
    if (typeof body !== 'object' || body === null || Array.isArray(body)) throw invalidInput(check(body ?? {}));
    const known: Record<string, unknown> = {};
    const unknown: InvalidField[] = [];
    for (const [name, value] of Object.entries(body)) {
      if (value === null) continue;
      if (Object.hasOwn(schema.properties, name)) known[name] = value;
      else if (unknown.length < mostUnknownKeys) unknown.push(notAllowed(name));
    }
    const faults = [...check(known), ...unknown];
    if (faults.length > 0) throw invalidInput(faults);
    return known as Static<Schema>;
  };
}

/** Reads a query string. Keys that the schema does not have are passed over. @throws Problem with every fault */
export function queryReader<Schema extends TObject>(schema: Schema): (query: unknown) => Static<Schema> {
  const check = compileObjectCheck(schema, '');
  const integers = Object.keys(schema.properties).filter(
    (name) => (schema.properties[name] as { type?: string }).type === 'integer',
  );
  return (query) => {
    const known: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(query as Record<string, unknown>)) {
      if (!Object.hasOwn(schema.properties, name)) continue;
      known[name] = integers.includes(name) && /^-?\d{1,15}$/.test(String(value)) ? Number(value) : value;
    }
    const faults = check(known);
    if (faults.length > 0) throw invalidInput(faults);
    return known as Static<Schema>;
  };
}

function notAllowed(name: string): InvalidField {
  const shown = name.length > 100 ? `${name.slice(0, 100)}…` : name;
  return {
    type: 'additional_property_not_allowed',
    field: '',
    description: `Additional property ${shown} is not allowed`,
  };
}
