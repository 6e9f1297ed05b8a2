import { expect, test } from 'vitest';
import type { InvalidField } from '../catalog/validate.ts';
import { baseName, readMediaType, readMetadata } from './upload-fields.ts';

/** What a reader makes of a text, and of which fields it complains. */
function read<Result>(reader: (given: string, faults: InvalidField[]) => Result, given: string): [Result, string[]] {
  const faults: InvalidField[] = [];
  return [reader(given, faults), faults.map(({ type, field }) => `${type} ${field}`)];
}

test.each([
  ['cat.png', 'cat.png'],
  ['../../etc/passwd', 'passwd'],
  ['C:\\pictures\\a/b.png', 'b.png'],
  ['/', ''],
  ['..', ''],
  ['a/..', ''],
  ['...', '...'],
  ['a\0\r\n\u007fb\ud800', 'ab'],
  ['é'.repeat(127), 'é'.repeat(127)],
])('the name %j is %j', (given, name) => {
  expect(read(baseName, given)).toEqual([name, []]);
});

test('a name is counted in bytes, without its folders', () => {
  expect(read(baseName, 'é'.repeat(128))[1]).toEqual(['string_lte filename']);
  expect(read(baseName, `${'a/'.repeat(1000)}b`)).toEqual(['b', []]);
});

test.each([
  ['Image/PNG; charset=x', 'image/png', []],
  ['application/vnd.a+json', 'application/vnd.a+json', []],
  ['png', 'application/octet-stream', ['format type']],
  ['a/b\r\nx: y', 'application/octet-stream', ['format type']],
])('the media type %j is %j', (given, type, faults) => {
  expect(read(readMediaType, given)).toEqual([type, faults]);
});

test.each([
  ['{"k":"v","n":{"a":[1]}}', { k: 'v', n: { a: [1] } }, []],
  ['', {}, []],
  ['{"__proto__":1}', JSON.parse('{"__proto__":1}'), []],
  ['[]', {}, ['invalid_type metadata']],
  ['null', {}, ['invalid_type metadata']],
  ['{', {}, ['format metadata']],
  [`{"a":${'['.repeat(19)}${']'.repeat(19)}}`, expect.anything(), []],
  [`{"a":${'['.repeat(20)}${']'.repeat(20)}}`, {}, ['format metadata']],
])('metadata %j', (given, metadata, faults) => {
  const reader = (text: string, found: InvalidField[]) => readMetadata(new Map([['metadata', text]]), found);
  expect(read(reader, given)).toEqual([metadata, faults]);
});

test('metadata field by field', () => {
  const faults: InvalidField[] = [];
  const fields = new Map([
    ['metadata', '{"a":1,"b":2}'],
    ['metadata[b]', 'two'],
    ['metadata[__proto__]', 'x'],
    ['metadatax', 'y'],
  ]);
  expect(JSON.stringify(readMetadata(fields, faults))).toBe('{"a":1,"b":"two","__proto__":"x"}');
  expect(faults).toEqual([]);
  readMetadata(new Map([['metadata[a][b]', '']]), faults);
  expect(faults.map(({ field }) => field)).toEqual(['metadata']);
});
