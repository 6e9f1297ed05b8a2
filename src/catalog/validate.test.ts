import { describe, expect, test } from 'vitest';
import { processorTime } from '../../test/support/processor-time.ts';
import controlnet from '../models/controlnet.ts';
import { image, integer } from './fields.ts';
import { compileInputCheck } from './validate.ts';

const check = compileInputCheck(controlnet.inputs);
const valid = { image: 'https://x.example/a.png', prompt: 'a house', structure: 'canny' };
const descriptions = (input: unknown) =>
  check(input).faults.map(({ field, description }) => `${field}: ${description}`);

test('all faults at once, required first, then in the order of the schema', () => {
  const input = { image: 'https://x.example/a.png', structure: 'lines', num_outputs: 9, scale: '9' };
  expect(check(input).faults).toEqual([
    { type: 'required', field: 'input', description: 'prompt is required' },
    { type: 'number_lte', field: 'input.num_outputs', description: 'Must be less than or equal to 4' },
    { type: 'invalid_type', field: 'input.scale', description: 'Invalid type. Expected: number, given: string' },
    {
      type: 'enum',
      field: 'input.structure',
      description:
        'structure must be one of the following: "canny", "depth", "hed", "hough", "normal", "pose", "scribble", "seg"',
    },
  ]);
});

test('several missing members are reported in form order, one fault each', () => {
  expect(descriptions({})).toEqual([
    'input: image is required',
    'input: prompt is required',
    'input: structure is required',
  ]);
});

test.each([
  ['steps', '20', 'Invalid type. Expected: integer, given: string'],
  ['steps', 5.5, 'Invalid type. Expected: integer, given: number'],
  ['steps', true, 'Invalid type. Expected: integer, given: boolean'],
  ['scale', [9], 'Invalid type. Expected: number, given: array'],
  ['scale', { a: 1 }, 'Invalid type. Expected: number, given: object'],
  ['prompt', 7, 'Invalid type. Expected: string, given: integer'],
  ['return_reference_image', 'true', 'Invalid type. Expected: boolean, given: string'],
  ['return_reference_image', 1, 'Invalid type. Expected: boolean, given: integer'],
  ['image_resolution', '512', 'Invalid type. Expected: integer, given: string'],
  ['image_resolution', 513, 'image_resolution must be one of the following: 256, 512, 768'],
  ['scale', 0, 'Must be greater than or equal to 0.1'],
  ['low_threshold', 256, 'Must be less than or equal to 255'],
  ['image', 'photo.png', "Does not match format 'uri'"],
  ['image', 'file:///etc/passwd', "Does not match format 'uri'"],
  ['image', 'darkroom-file:AAAAAAAAAAAAAAAAAAAAAAAA/a.png', "Does not match format 'uri'"],
  ['image', 'http://', "Does not match format 'uri'"],
  ['image', `https://x.example/${'a'.repeat(20_000)}`, "Does not match format 'uri'"],
])('%s = %j is refused: %s', (name, value, description) => {
  expect(descriptions({ ...valid, [name]: value })).toEqual([`input.${name}: ${description}`]);
});

test('a number too large for a double is refused', () => {
  expect(check({ ...valid, scale: JSON.parse('1e999') }).faults).toMatchObject([
    { type: 'invalid_type', field: 'input.scale' },
  ]);
});

test('a whole number written as a float is an integer, and every kind of image address is accepted', () => {
  for (const image of ['http://x.example/a', 'HTTPS://x.example/a.png?x=1', 'data:image/png;base64,AAAA', 'data:,x']) {
    expect(check({ ...valid, image, steps: JSON.parse('5.0'), eta: 1 }).faults).toEqual([]);
  }
});

test('null is absent: no fault where there is a default, a missing member where there is none', () => {
  expect(check({ ...valid, steps: null }).faults).toEqual([]);
  expect(descriptions({ ...valid, prompt: null })).toEqual(['input: prompt is required']);
});

test('unknown keys are left out and named; what is known stays as it was sent', () => {
  const sent = JSON.parse(
    '{"prompt":"a","__proto__":{"scale":1},"auth":"r8_secret","steps":null,"structure":"canny","constructor":1,"image":"data:,"}',
  );
  const { input, ignored, faults } = check(sent);
  expect(faults).toEqual([]);
  expect(ignored).toEqual(['__proto__', 'auth', 'constructor']);
  expect(JSON.stringify(input)).toBe('{"prompt":"a","steps":null,"structure":"canny","image":"data:,"}');
});

test.each([['text'], [null], [[]], [7]])('an input that is %j is not an object', (input) => {
  const [fault, ...more] = check(input).faults;
  expect(fault).toMatchObject({ type: 'invalid_type', field: 'input' });
  expect(fault!.description).toMatch(/^Invalid type\. Expected: object, given: /);
  expect(more).toEqual([]);
});

test.each(['a\0b', '\ud800', 'x\udc00y'])('text that no database holds is refused: %j', (prompt) => {
  expect(check({ ...valid, prompt }).faults).toMatchObject([{ type: 'format', field: 'input.prompt' }]);
});

test('long and odd texts pass: the tokenizer cuts, not the check', () => {
  for (const prompt of ['', 'word '.repeat(20_000), '😀'.repeat(50_000), '\u200f\ufeff\n']) {
    expect(check({ ...valid, prompt }).faults).toEqual([]);
  }
});

test('the check takes linear time', async () => {
  const hostile = { ...valid, prompt: 'a'.repeat(1e7), image: `data:image/png;base64,${'A'.repeat(1e7)}` };
  // Quadratic work over 10^7 characters would take hours; the bound only has to tell the two apart.
  expect(await processorTime(() => check(hostile))).toBeLessThan(2000);
});

describe('an integer of up to 64 bits', () => {
  const checkWide = compileInputCheck({
    seed: integer({ description: 'Seed', optional: true, wide: true }),
    steps: integer({ description: 'Steps', default: 1, maximum: 100 }),
  });

  test.each([
    [7, 7],
    [-7, -7],
    ['7', 7],
    [BigInt('10788741199826055526'), '10788741199826055526'],
    ['10788741199826055526', '10788741199826055526'],
    ['-9223372036854775808', '-9223372036854775808'],
    ['0010788741199826055526', '10788741199826055526'],
    [2 ** 63, '9223372036854775808'],
    [null, null],
  ])('%s goes on as %s', (sent, kept) => {
    expect(checkWide({ seed: sent })).toEqual({ input: { seed: kept }, ignored: [], faults: [] });
  });

  test.each(['', '1.5', '1e3', '0x10', ' 7', '7 ', '9'.repeat(41), 1.5, true, [7]])('%j is refused', (seed) => {
    expect(checkWide({ seed }).faults).toMatchObject([{ type: 'invalid_type', field: 'input.seed' }]);
  });

  test('other integers stay as narrow as they were', () => {
    expect(checkWide({ steps: 10788741199826055526n }).faults).toMatchObject([
      { type: 'number_lte', field: 'input.steps', description: 'Must be less than or equal to 100' },
    ]);
    expect(checkWide({ steps: '7' }).faults).toMatchObject([{ type: 'invalid_type', field: 'input.steps' }]);
  });
});

test('D93 a picture may be sent under its alias, and is known by its own name then', () => {
  const aliased = compileInputCheck({
    input_image: image({ description: 'A face.', alias: 'image' }),
    seed: integer({ description: 'A number.', optional: true }),
  });
  const [one, two] = ['https://x.example/1.png', 'https://x.example/2.png'];
  expect(aliased({ image: one, seed: 1 })).toEqual({ input: { input_image: one, seed: 1 }, ignored: [], faults: [] });
  for (const both of [
    { image: one, input_image: two },
    { input_image: two, image: one },
  ]) {
    expect(aliased(both)).toEqual({ input: { input_image: two }, ignored: ['image'], faults: [] });
  }
  expect(aliased({}).faults).toEqual([{ type: 'required', field: 'input', description: 'input_image is required' }]);
  expect(aliased({ image: 5 }).faults[0]?.field).toBe('input.input_image');
});
