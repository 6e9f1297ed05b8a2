import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { sharedHome } from '../../test/support/mini-set.ts';
import { readSettings } from '../base/settings.ts';
import { weightFiles } from '../weights/inventory.ts';
import { locateWeights } from '../weights/locate.ts';
import { presentFile } from '../weights/network-files.ts';
import { loadModels, slug } from './list.ts';

const models = await loadModels();

describe.each(models.map((model) => [slug(model), model] as const))('the weights of %s', (_, { weights }) => {
  test('name a licence and files once each, and digests that are ones', () => {
    for (const repository of weights) {
      const files = weightFiles(repository);
      expect(repository.repository).toMatch(/^[\w.-]+\/[\w.-]+$/);
      expect(repository.licence).not.toBe('');
      expect(new Set(files.map(({ path }) => path)).size, repository.repository).toBe(files.length);
      for (const { bytes, sha256 } of files) {
        expect(bytes ?? 1).toBeGreaterThan(0);
        expect(sha256 ?? '0'.repeat(64)).toMatch(/^[0-9a-f]{64}$/);
      }
      expect(repository.revision ?? '0'.repeat(40)).toMatch(/^[0-9a-f]{40}$/);
    }
  });
});

test('a file that several models name is the same for all of them', () => {
  const facts = new Map<string, unknown>();
  for (const repository of models.flatMap(({ weights }) => weights)) {
    for (const file of weightFiles(repository)) {
      const name = `${repository.repository}/${file.path}`;
      const fact = { ...file, revision: repository.revision, licence: repository.licence };
      expect(facts.get(name) ?? fact, name).toEqual(fact);
      facts.set(name, fact);
    }
  }
});

test('the mini set stands in for all of them, with every file', async () => {
  const home = sharedHome();
  const repositories = models.flatMap(({ weights }) => weights);
  const settings = { ...readSettings({ DARKROOM_HOME: home, HF_HOME: home }), weights: 'mini' } as const;
  const { folders } = await locateWeights(repositories, settings);
  for (const [index, repository] of repositories.entries()) {
    for (const { path } of weightFiles(repository)) {
      const found = await presentFile(join(folders[index]!, path));
      expect(found, `${repository.repository}: ${path}`).toBeDefined();
    }
  }
});
