/** That each input of the schema does what it should, on the mini set; the others are in test/e2e/controlnet.test.ts. */
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { miniContext } from '../../test/support/mini-context.ts';
import type { InputOf } from '../catalog/fields.ts';
import type { OutputFile, PredictContext } from '../catalog/model.ts';
import { weightFiles } from '../weights/inventory.ts';
import controlnet from './controlnet.ts';

const photo = (name: string): string => fileURLToPath(new URL(`../../test/fixtures/${name}`, import.meta.url));
const request: InputOf<typeof controlnet.inputs> = {
  image: photo('photos/eileen-collins.jpg'),
  prompt: 'a bronze bust',
  structure: 'canny',
  num_outputs: 1,
  image_resolution: 256,
  scheduler: 'DDIM',
  steps: 2,
  scale: 9,
  seed: 7,
  eta: 0,
  negative_prompt: '',
  low_threshold: 100,
  high_threshold: 200,
  return_reference_image: false,
};

const context = miniContext();
afterAll(() => context.close());

async function predict(changes: Partial<typeof request>, surroundings: PredictContext = context) {
  const files: OutputFile[] = [];
  for await (const file of controlnet.predict({ ...request, ...changes }, surroundings)) files.push(file);
  return files;
}
const bytesOf = ({ bytes }: OutputFile): string => Buffer.from(bytes).toString('base64');
const only = async (changes: Partial<typeof request>): Promise<string> => {
  const files = await predict(changes);
  expect(files).toHaveLength(1);
  return bytesOf(files[0]!);
};

test('another photograph gives another picture', async () => {
  const quick = { steps: 1, scale: 1 };
  expect(await only({ ...quick, image: photo('images/files/rgb.png') })).not.toBe(await only(quick));
});

test('the reference comes first, then as many pictures as were asked for', async () => {
  const files = await predict({ num_outputs: 3, return_reference_image: true });
  expect(files.map(({ name }) => name)).toEqual(['reference.png', 'out-0.png', 'out-1.png', 'out-2.png']);
  expect(new Set(files.map(bytesOf)).size).toBe(4);
  const without = await predict({ num_outputs: 3 });
  expect(without.map(bytesOf)).toEqual(files.slice(1).map(bytesOf));
});

test('every structure draws a picture of its own', { timeout: 180_000 }, async () => {
  const pictures = new Set<string>();
  for (const structure of controlnet.inputs.structure.choices) pictures.add(await only({ structure }));
  expect(pictures.size).toBe(8);
});

test('Canny’s thresholds are for nothing else, and eta is for DDIM alone', async () => {
  const plain = { structure: 'hed', scheduler: 'PNDM' } as const;
  const others = { low_threshold: 30, high_threshold: 40, eta: 0.5 };
  expect(await only({ ...plain, ...others })).toBe(await only(plain));
});

test('seeds of 64 bits are taken to the last digit, as text where a number would lose it', async () => {
  const quick = { steps: 1, scale: 1 };
  const [one, other] = [
    await only({ ...quick, seed: '9007199254740993' }),
    await only({ ...quick, seed: '9007199254740992' }),
  ];
  expect(one).not.toBe(other);
  expect(await only({ ...quick, seed: -1 })).toBe(await only({ ...quick, seed: '18446744073709551615' }));
});

describe.each(controlnet.inputs.scheduler.choices)('%s', (scheduler) => {
  test.each([0, -1, 1001])('%i steps are refused', async (steps) => {
    await expect(predict({ scheduler, steps })).rejects.toMatchObject({ name: 'InputError', field: 'steps' });
  });
});

describe('where only weights for commercial use are allowed', () => {
  test.each([
    ['hed', 'lllyasviel/Annotators'],
    ['scribble', 'lllyasviel/Annotators'],
    ['pose', 'yzd-v/DWPose'],
  ] as const)('%s is drawn by %s, and the log says so', async (structure, repository) => {
    const asked: string[] = [];
    const before = context.lines.length;
    const commercial: PredictContext = {
      ...context,
      licences: 'commercial',
      locate(repositories) {
        asked.push(...repositories.map((weights) => weights.repository));
        expect(repositories.every(({ commercialUse }) => commercialUse)).toBe(true);
        return context.locate(repositories);
      },
    };
    const [free] = await predict({ structure, return_reference_image: true }, commercial);
    expect(asked).toContain(repository);
    expect(context.lines.slice(before).join('\n')).toContain(`Structure: drawn by ${repository} (Apache`);
    if (structure === 'pose') return; // Untrained networks find nobody, neither of them.
    const [original] = await predict({ structure, return_reference_image: true });
    expect(bytesOf(free!)).not.toBe(bytesOf(original!));
  });

  test('the other structures have no other weights', () => {
    const others = controlnet.weights.filter(({ commercialUse }) => !commercialUse);
    expect(others.flatMap(weightFiles).map(({ path }) => path)).toEqual([
      'annotator/ckpts/network-bsds500.pth',
      'body_pose_model.pth',
    ]);
  });
});
