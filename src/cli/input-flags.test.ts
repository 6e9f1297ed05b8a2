import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { choice, image, integer, lora, number, text, toggle } from '../catalog/fields.ts';
import { parseInputFlags } from './input-flags.ts';

const fields = {
  image: image({ description: '' }),
  prompt: text({ description: '' }),
  steps: integer({ description: '' }),
  seed: integer({ description: '', wide: true }),
  scale: number({ description: '' }),
  resolution: choice([256, 512], { description: '' }),
  style: choice(['Clay', 'Toy'], { description: '' }),
  reference: toggle({ description: '', default: false }),
};
const thisFile = fileURLToPath(import.meta.url);

test('values take the types of the fields', () => {
  const flags = [
    'prompt=a=b, 5',
    'steps=5',
    'seed=10788741199826055526',
    'scale=7.5',
    'resolution=256',
    'style=Toy',
    'reference=true',
    `image=@${thisFile}`,
  ];
  expect(parseInputFlags(flags, fields)).toEqual({
    prompt: 'a=b, 5',
    steps: 5,
    seed: '10788741199826055526',
    scale: 7.5,
    resolution: 256,
    style: 'Toy',
    reference: true,
    image: thisFile,
  });
});

test.each([
  ['prompt', /-i prompt: write -i name=value/],
  ['=x', /write -i name=value/],
  ['promt=x', /no input "promt".*prompt, steps/],
  ['steps=many', /-i steps=many: write a number/],
  ['steps=', /write a number/],
  ['reference=yes', /write true or false/],
  ['image=@nowhere.jpg', /there is no file .*nowhere\.jpg/],
  ['image=@.', /-i image=@\.: .* is a folder\. Name a file in it/],
  ['image=', /is a folder/],
  ['constructor=x', /no input "constructor"/],
])('%s is refused', (flag, message) => {
  expect(() => parseInputFlags([flag], fields)).toThrow(message);
});

test('no LoRA is none, as on the wire', () => {
  const own = { custom_lora_url: lora({ description: '', optional: true }) };
  expect(parseInputFlags(['custom_lora_url='], own)).toEqual({ custom_lora_url: '' });
  expect(() => parseInputFlags(['custom_lora_url=@.'], own)).toThrow(/is a folder/);
});

test('another name of an input counts, unless an input has it', () => {
  const portrait = { input_image: image({ description: '', alias: 'image' }) };
  const url = 'https://example.com/a.png';
  expect(parseInputFlags([`image=${url}`], portrait)).toEqual({ input_image: url });
  expect(parseInputFlags([`image=${url}`], { ...portrait, ...fields })).toEqual({ image: url });
  expect(() => parseInputFlags([`image=${url}`, `input_image=${url}`], portrait)).toThrow(
    /"input_image" is given twice/,
  );
});

test('an input cannot be given twice', () => {
  expect(() => parseInputFlags(['steps=1', 'steps=2'], fields)).toThrow(/"steps" is given twice/);
});
