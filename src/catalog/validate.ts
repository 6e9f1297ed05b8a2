/**
 * Checks what a caller sent against a model's fields, and reports every fault at once in the words of the public
 * service, which are those of the Go library gojsonschema.
 */
import { Ajv, type ErrorObject } from 'ajv';
import type { Field, Fields } from './fields.ts';
import { inputSchema } from './openapi.ts';
import { wideInteger } from './wide-integer.ts';

/** One fault. `field` is a path such as `input.scale`; a missing member is reported on its parent. */
export interface InvalidField {
  type: string;
  field: string;
  description: string;
}

export interface CheckedInput {
  /** Known keys only, under their own names, otherwise as sent: no default is filled in. Integers beyond 2^53 are text where they may be wide. */
  input: Record<string, unknown>;
  /** Keys that the model does not know, in the order sent. */
  ignored: string[];
  faults: InvalidField[];
}

interface ObjectSchema {
  properties: Record<string, object>;
  required?: readonly string[];
}

const ajv = new Ajv({ allErrors: true });
ajv.addVocabulary(['x-order']);
ajv.addFormat('uri', isFileUrl);
ajv.addFormat('date-time', isDateTime);

/** Compiles the check once; the result may be called for every request. */
export function compileInputCheck(fields: Fields): (input: unknown) => CheckedInput {
  const faultsOf = compileObjectCheck(inputSchema(fields), 'input');
  const byAlias = new Map(
    Object.entries(fields).flatMap(([name, field]) => ('alias' in field && field.alias ? [[field.alias, name]] : [])),
  );
  /** The name of the field that is meant. A field that is sent under its own name needs no alias. */
  const nameOf = (sent: string, input: Record<string, unknown>): string | undefined => {
    if (Object.hasOwn(fields, sent)) return sent;
    const own = byAlias.get(sent);
    return own === undefined || Object.hasOwn(input, own) ? undefined : own;
  };
  return (input) => {
    if (!isObject(input)) return { input: {}, ignored: [], faults: faultsOf(input) };
    const known: Record<string, unknown> = {};
    const present: Record<string, unknown> = {};
    const ignored: string[] = [];
    for (const [sent, value] of Object.entries(input)) {
      const name = nameOf(sent, input);
      if (name === undefined) {
        ignored.push(sent);
        continue;
      }
      known[name] = exactly(value, fields[name]!);
      // The schema knows numbers only; beyond 2^53 a rounded one will do for it.
      if (value !== null) present[name] = isWide(fields[name]!) ? roughly(known[name]) : known[name];
    }
    return { input: known, ignored, faults: [...faultsOf(present), ...textFaults(present)] };
  };
}

/** @param value where it is a bigint, one that the body holds and that a number would have rounded */
function exactly(value: unknown, field: Field): unknown {
  if (isWide(field)) return wideInteger(value) ?? value;
  return typeof value === 'bigint' ? Number(value) : value;
}

function roughly(value: unknown): unknown {
  return wideInteger(value) === undefined ? value : Number(value);
}

function isWide(field: Field): boolean {
  return 'wide' in field && field.wide === true;
}

/** A check of any object, in the same words; `path` is the object's own place, empty for a request's body. */
export function compileObjectCheck(schema: ObjectSchema, path: string): (value: unknown) => InvalidField[] {
  const validate = ajv.compile(schema);
  const properties = Object.keys(schema.properties);
  const required = schema.required ?? [];
  const rank = (error: ErrorObject): number => {
    if (error.keyword === 'required') return required.indexOf(error.params.missingProperty);
    return required.length + properties.indexOf(error.instancePath.split('/')[1]!);
  };
  return (value) => {
    if (validate(value)) return [];
    const faults = new Map<string, InvalidField>();
    for (const error of validate.errors!.toSorted((a, b) => rank(a) - rank(b))) {
      const place = [path, ...error.instancePath.split('/').slice(1)].filter(Boolean).join('.');
      // A value of the wrong type is one fault, not a second one against the list of choices.
      const key = JSON.stringify([place, error.params.missingProperty]);
      if (faults.has(key) && error.keyword !== 'type') continue;
      faults.set(key, { ...describe(error, at(value, error.instancePath)), field: place });
    }
    return [...faults.values()];
  };
}

function describe({ keyword, params, instancePath, schema }: ErrorObject, value: unknown): Omit<InvalidField, 'field'> {
  switch (keyword) {
    case 'required':
      return { type: 'required', description: `${params.missingProperty} is required` };
    case 'type':
      return { type: 'invalid_type', description: `Invalid type. Expected: ${params.type}, given: ${typeName(value)}` };
    case 'enum': {
      const name = instancePath.split('/').at(-1);
      const values = (params.allowedValues as unknown[]).map((allowed) => JSON.stringify(allowed)).join(', ');
      return { type: 'enum', description: `${name} must be one of the following: ${values}` };
    }
    case 'minimum':
      return { type: 'number_gte', description: `Must be greater than or equal to ${params.limit}` };
    case 'maximum':
      return { type: 'number_lte', description: `Must be less than or equal to ${params.limit}` };
    case 'maxLength':
      return { type: 'string_lte', description: `String length must be less than or equal to ${params.limit}` };
    case 'format':
      return { type: 'format', description: `Does not match format '${params.format}'` };
    case 'pattern':
      return { type: 'pattern', description: `Does not match pattern '${params.pattern}'` };
    default:
      throw new Error(`No words for the JSON Schema keyword ${keyword} (${JSON.stringify(schema)}).`);
  }
}

/** Text that a database cannot hold: refused here, where it can still be explained. */
function textFaults(input: Record<string, unknown>): InvalidField[] {
  return Object.entries(input)
    .filter(([, value]) => typeof value === 'string' && /\0|\p{Surrogate}/u.test(value))
    .map(([name]) => ({
      type: 'format',
      field: `input.${name}`,
      description: 'Must be Unicode text without the character U+0000 and without halves of surrogate pairs',
    }));
}

/** Whether a file may be read from here: a web address or a data URL. Data URLs are taken apart where they are stored. */
function isFileUrl(value: string): boolean {
  if (/^data:/i.test(value)) return true;
  if (!/^https?:\/\//i.test(value) || value.length > longestUrl) return false;
  return URL.canParse(value);
}

/** Also a date alone, and without seconds. In a query string an unescaped + arrives as a space. */
function isDateTime(value: string): boolean {
  const form = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+ -]\d\d:?\d\d)?)?$/i;
  return form.test(value) && !Number.isNaN(Date.parse(value.replace(' ', '+')));
}

/** Longer ones are refused by most servers anyway. */
const longestUrl = 16_384;

function at(value: unknown, instancePath: string): unknown {
  let current = value;
  for (const name of instancePath.split('/').slice(1)) current = (current as Record<string, unknown>)[name];
  return current;
}

function typeName(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value !== 'number') return typeof value;
  if (!Number.isFinite(value)) return 'number beyond the largest representable one';
  return Number.isInteger(value) ? 'integer' : 'number';
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
