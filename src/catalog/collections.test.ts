import { expect, test } from 'vitest';
import { collections, collectionsOf } from './collections.ts';
import { loadModels, slug } from './list.ts';

test('collections that hold no model that is here are left out', () => {
  expect(collectionsOf([])).toEqual([]);
  expect(collectionsOf(['rossjillian/controlnet', 'test/echo']).map((collection) => collection.slug)).toEqual([
    'structure',
  ]);
});

test('every built-in model is in a collection', async () => {
  const collected = collections.flatMap(({ models }) => models);
  expect((await loadModels()).map(slug).filter((name) => !collected.includes(name))).toEqual([]);
});
