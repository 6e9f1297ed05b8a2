import { Type } from 'typebox';
import { expect, test } from 'vitest';
import type { Problem } from './errors.ts';
import { bodyReader, queryReader } from './read-request.ts';

const schema = Type.Object({
  name: Type.String({ pattern: '^[a-z]+$' }),
  count: Type.Optional(Type.Integer({ minimum: 1 })),
});

function faultsOf(read: () => unknown): unknown {
  try {
    return read();
  } catch (error) {
    const fields = (error as Problem).options.members?.invalid_fields as { field: string; description: string }[];
    return fields.map(({ field, description }) => `${field}: ${description}`);
  }
}

test('a body: null is absent, unknown keys and every other fault are reported at once', () => {
  const read = bodyReader(schema);
  expect(read({ name: 'a', count: null })).toEqual({ name: 'a' });
  expect(faultsOf(() => read({ name: 'A', count: 0, more: 1, ['x'.repeat(200)]: 1 }))).toEqual([
    "name: Does not match pattern '^[a-z]+$'",
    'count: Must be greater than or equal to 1',
    ': Additional property more is not allowed',
    `: Additional property ${'x'.repeat(100)}… is not allowed`,
  ]);
  expect(faultsOf(() => read(undefined))).toEqual([': name is required']);
  expect(faultsOf(() => read([]))).toEqual([': Invalid type. Expected: object, given: array']);
  const hostile = Object.fromEntries(Array.from({ length: 100_000 }, (_, index) => [`key${index}`, 1]));
  expect(faultsOf(() => read(hostile))).toHaveLength(21);
});

test('a query: numbers are read, unknown keys are passed over, a key twice is a fault', () => {
  const read = queryReader(schema);
  expect(read({ name: 'a', count: '2', more: 'x' })).toEqual({ name: 'a', count: 2 });
  expect(faultsOf(() => read({ name: ['a', 'b'], count: 'two' }))).toEqual([
    'name: Invalid type. Expected: string, given: array',
    'count: Invalid type. Expected: integer, given: string',
  ]);
});
