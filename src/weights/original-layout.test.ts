import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { splitCheckpoint } from './checkpoint.ts';
import { originalName } from './original-layout.ts';
import type { TensorRef } from './safetensors.ts';

const shapes = (path: string): Record<string, unknown> =>
  JSON.parse(readFileSync(new URL(`../../test/fixtures/${path}`, import.meta.url), 'utf8'));

test.each(['unet', 'vae'] as const)(
  'every tensor of the %s at full size is found again under its original name',
  (component) => {
    const names = Object.keys(shapes(`headers/sd15-${component}.json`));
    const original = new Set(Object.keys(shapes('weights/full-size/sd15-original.json')));
    const stored = names.map((name) => [originalName(component)(name), name] as const);
    expect(stored.filter(([there]) => !original.has(there))).toEqual([]);

    const tensor = (name: string): TensorRef => ({
      name,
      file: '/',
      offset: 0,
      byteLength: 8,
      dtype: 'F32',
      shape: [2],
    });
    const file = new Map(stored.map(([there]) => [there, tensor(there)]));
    expect(new Set(splitCheckpoint(file, 'x')![component]!.keys())).toEqual(new Set(names));
  },
);
