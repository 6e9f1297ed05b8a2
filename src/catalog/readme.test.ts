import { expect, test } from 'vitest';
import controlnet from '../models/controlnet.ts';
import { choice, image, integer } from './fields.ts';
import type { ModelDefinition } from './model.ts';
import { readmeOf } from './readme.ts';

const own = {
  ...controlnet,
  owner: 'acme',
  description: 'Draws.',
  inputs: {
    image: image({ description: 'A picture | photograph' }),
    count: integer({ description: 'How many', default: 1, minimum: 1, maximum: 4 }),
    style: choice(['3D', 'Clay'], { description: 'Style', default: 'Clay' }),
  },
} as unknown as ModelDefinition;

test('the page that was written for a model', async () => {
  const page = await readmeOf(controlnet as unknown as ModelDefinition);
  expect(page).toMatch(/^# rossjillian\/controlnet\n/);
  expect(page).toContain('file\n`src/models/controlnet.ts`. The reference');
  expect(page).not.toContain('](../');
});

test('a page from the definition, also where another owner has a model of that name', async () => {
  const page = await readmeOf(own);
  expect(page).toMatch(/^# acme\/controlnet\n\nDraws\.\n/);
  expect(page).toContain('| `image` | image, required | A picture \\| photograph |');
  expect(page).toContain('| `count` | integer, from 1, to 4, default `1` | How many |');
  expect(page).toContain('| `style` | one of `3D`, `Clay`, default `Clay` | Style |');
  expect(page).toContain('- lllyasviel/sd-controlnet-canny (OpenRAIL; commercial use is allowed)');
});

test('a name that is no file name reads no file', async () => {
  expect(await readmeOf({ ...own, name: '../../README' })).toMatch(/^# acme\/\.\.\/\.\.\/README\n/);
});
