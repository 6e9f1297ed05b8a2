/** What the original prints, refuses and saves, on the mini set: test/fixtures/pipelines/photomaker/outcomes.json. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { miniContext } from '../../test/support/mini-context.ts';
import { watching } from '../../test/support/watching.ts';
import { InputError } from '../base/errors.ts';
import type { InputOf } from '../catalog/fields.ts';
import { float32 } from '../math/tensor.ts';
import type { Residency } from '../runtime/residency.ts';
import photomaker from './photomaker.ts';

interface Outcome {
  name: string;
  input: InputOf<typeof photomaker.inputs>;
  /** What the safety checker said of each picture; null where it found nothing. */
  unsafe: boolean[] | null;
  lines: string[];
  error: string | null;
  saved: string[];
}

const folder = new URL('../../test/fixtures/pipelines/photomaker/', import.meta.url);
const outcomes: Outcome[] = JSON.parse(readFileSync(new URL('outcomes.json', folder), 'utf8'));

const mini = miniContext();
afterAll(() => mini.close());

/** Pictures are as near to every concept as this says, and not as the untrained checker finds. */
function withVerdicts(unsafe: readonly boolean[]): Residency {
  const verdicts = unsafe.values();
  return watching(mini.residency, ({ results }) => {
    if (!results.thresholds) return undefined;
    const { dims, data } = results.cosines!;
    const nearness = verdicts.next().value ? 10 : 0;
    return { ...results, cosines: float32(dims, new Float32Array(data.length).fill(nearness)) };
  });
}

test.each(outcomes)('$name', async ({ input, unsafe, lines, error, saved }) => {
  const photographs = Object.entries(input).filter(([field]) => field.startsWith('input_image'));
  const paths = photographs.map(([field, file]) => [field, fileURLToPath(new URL(file as string, folder))]);
  const logged: string[] = [];
  const context = {
    ...mini,
    log: (line: string) => void logged.push(line),
    ...(unsafe && { residency: withVerdicts(unsafe) }),
  };
  const names: string[] = [];
  let thrown: unknown = null;
  try {
    for await (const { name } of photomaker.predict({ ...input, ...Object.fromEntries(paths) }, context)) {
      names.push(name);
    }
  } catch (caught) {
    thrown = caught;
  }
  expect(logged).toEqual(lines);
  expect(names).toEqual(saved);
  if (error === null) {
    expect(thrown).toBeNull();
    return;
  }
  expect(thrown).toBeInstanceOf(InputError);
  const { message, field } = thrown as InputError;
  // Ours says more: the field and the remedy. Of pictures that cannot be read it has words of its own.
  if (error.startsWith('cannot identify')) expect(message).toMatch(/^input_image2 is not a picture that can be read/);
  else expect(message.startsWith(`${error} `)).toBe(true);
  expect(message).toContain(field);
});
