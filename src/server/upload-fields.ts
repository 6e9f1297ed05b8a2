/** What comes beside the file in the form of `POST /files`. Each reader adds what is wrong to the faults. */
import type { InvalidField } from '../catalog/validate.ts';
import { unknownMediaType } from '../storage/media-type.ts';

const mostNameBytes = 255;
/** Deeper than anybody writes by hand, and far from where a database or a parser gives up. */
const deepestMetadata = 20;

/** The last part of what may be a path, of this system or another; empty when nothing is left of it. */
export function baseName(given: string, faults: InvalidField[]): string {
  const last = given.slice(Math.max(given.lastIndexOf('/'), given.lastIndexOf('\\')) + 1);
  const name = last.replace(/[\p{Cc}\p{Surrogate}]/gu, '');
  if (Buffer.byteLength(name) > mostNameBytes) faults.push(tooLong('filename', mostNameBytes));
  return name === '.' || name === '..' ? '' : name;
}

/** Type and subtype in lower case, without parameters. */
export function readMediaType(given: string, faults: InvalidField[]): string {
  const type = given.split(';', 1)[0]!.trim().toLowerCase();
  if (/^[\w.+-]{1,63}\/[\w.+-]{1,63}$/.test(type)) return type;
  faults.push({ type: 'format', field: 'type', description: "Does not match format 'media-type'" });
  return unknownMediaType;
}

/** JSON in the field `metadata`, or texts in fields such as `metadata[key]`, which is how one client writes an object. */
export function readMetadata(fields: ReadonlyMap<string, string>, faults: InvalidField[]): Record<string, unknown> {
  const texts: [string, string][] = [];
  for (const [name, value] of fields) {
    if (!name.startsWith('metadata[')) continue;
    const [, key] = /^metadata\[([^[\]]+)\]$/.exec(name) ?? [];
    if (key !== undefined) texts.push([key, value]);
    else faults.push({ type: 'format', field: 'metadata', description: 'Give what is nested as JSON' });
  }
  return { ...readJson(fields.get('metadata') ?? '', faults), ...Object.fromEntries(texts) };
}

function readJson(given: string, faults: InvalidField[]): Record<string, unknown> {
  if (given.trim() === '') return {};
  const add = (type: string, description: string): Record<string, unknown> => {
    faults.push({ type, field: 'metadata', description });
    return {};
  };
  let metadata: unknown;
  try {
    metadata = JSON.parse(given);
  } catch {
    return add('format', "Does not match format 'json'");
  }
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) {
    const kind = metadata === null ? 'null' : Array.isArray(metadata) ? 'array' : typeof metadata;
    return add('invalid_type', `Invalid type. Expected: object, given: ${kind}`);
  }
  if (!isWithin(metadata, deepestMetadata)) return add('format', `Is nested deeper than ${deepestMetadata} levels`);
  return metadata as Record<string, unknown>;
}

export function tooLong(field: string, most: number): InvalidField {
  return { type: 'string_lte', field, description: `String length must be less than or equal to ${most}` };
}

function isWithin(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return levels > 0 && Object.values(value).every((member) => isWithin(member, levels - 1));
}
