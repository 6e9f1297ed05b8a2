import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Field, Fields } from '../catalog/fields.ts';
import { wideInteger } from '../catalog/wide-integer.ts';
import { UsageError } from './command.ts';

/**
 * Reads `-i name=value` pairs by the fields of a model: numbers and switches become numbers and booleans,
 * `name=@file` names a file on this disk.
 *
 * @returns the input as a request would carry it; files as absolute paths
 * @throws UsageError naming the flag
 */
export function parseInputFlags(flags: readonly string[], fields: Fields): Record<string, unknown> {
  const input: Record<string, unknown> = {};
  for (const flag of flags) {
    const equals = flag.indexOf('=');
    if (equals < 1) throw new UsageError(`-i ${flag}: write -i name=value, or -i name=@file for a file.`);
    const name = ownName(flag.slice(0, equals), fields);
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (!field)
      throw new UsageError(`-i ${flag}: there is no input "${name}". There are: ${Object.keys(fields).join(', ')}.`);
    if (name in input) throw new UsageError(`-i ${flag}: "${name}" is given twice.`);
    input[name] = parseValue(name, flag.slice(equals + 1), field);
  }
  return input;
}

/** An input may have another name that clients call it by (`catalog/fields.ts`). */
function ownName(given: string, fields: Fields): string {
  const meant = Object.entries(fields).find(([, field]) => 'alias' in field && field.alias === given);
  return Object.hasOwn(fields, given) ? given : (meant?.[0] ?? given);
}

function parseValue(name: string, value: string, field: Field): unknown {
  switch (field.kind) {
    case 'image':
      return filePath(name, value);
    case 'lora':
      // As on the wire: an empty one is none.
      return value && filePath(name, value);
    case 'number':
    case 'integer':
      return (field.wide && wideInteger(value)) ?? parseNumber(name, value);
    case 'toggle':
      if (value === 'true' || value === 'false') return value === 'true';
      throw new UsageError(`-i ${name}=${value}: write true or false.`);
    case 'choice':
      return field.choices.every((choice) => typeof choice === 'number') ? parseNumber(name, value) : value;
    case 'text':
      return value;
  }
}

function parseNumber(name: string, value: string): number {
  const parsed = Number(value);
  if (value.trim() === '' || Number.isNaN(parsed)) throw new UsageError(`-i ${name}=${value}: write a number.`);
  return parsed;
}

function filePath(name: string, value: string): string {
  if (/^(https?|data):/.test(value)) return value;
  const path = resolve(value.startsWith('@') ? value.slice(1) : value);
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found) throw new UsageError(`-i ${name}=${value}: there is no file ${path}.`);
  if (found.isDirectory()) throw new UsageError(`-i ${name}=${value}: ${path} is a folder. Name a file in it.`);
  return path;
}
