/** What comes of pictures out of the ordinary, of faces and of nobody, and what the log says, on the mini set. */
import { readFileSync, writeFileSync } from 'node:fs';
import sharp from 'sharp';
import { afterAll, describe, expect, test } from 'vitest';
import { type GivenFace, type GivenSight, givenFace, givenFaces } from '../../test/support/given-faces.ts';
import { instantIdRequests, portrait, type Request, textOf } from '../../test/support/instant-id-requests.ts';
import { watching } from '../../test/support/watching.ts';
import type { OutputFile, PredictContext } from '../catalog/model.ts';
import { embedderFile } from '../faces/antelopev2.ts';
import type { Residency } from '../runtime/residency.ts';
import instantId from './instant-id.ts';

const { context, place, strip, otherStrip, request, predict, draw, only, linesOf, close } = await instantIdRequests();
afterAll(close);
const quick = { num_inference_steps: 1, guidance_scale: 1 };

/** Faces are given, as the published detector would find them; who they are is read off the pictures. */
function full(sights: readonly GivenSight[]): PredictContext {
  const given = givenFaces(context.residency, sights);
  const use: Residency['use'] = (network, work, onEvent) =>
    (network.key.startsWith(embedderFile) ? context.residency : given).use(network, work, onEvent);
  return {
    ...context,
    residency: { ...given, use },
    locate: async (wanted) => ({ ...(await context.locate(wanted)), set: 'full' }),
  };
}
const inPhotograph = (...faces: GivenFace[]): GivenSight => ({ faces, width: 1280, height: 64 });
const inPose = (...faces: GivenFace[]): GivenSight => ({ faces, width: 1024, height: 64 });

describe('pictures', () => {
  test.each([
    [900, 30],
    [10_000, 50],
  ])('of %i×%i, whose shorter side would vanish, are refused', async (width, height) => {
    const thin = place('thin.png');
    await sharp({ create: { width, height, channels: 3, background: 'teal' } }).toFile(thin);
    for (const field of ['image', 'pose_image'] as const) {
      const message = new RegExp(`^${field} is ${width}×${height}, too long and narrow: .* Crop it\\.$`);
      await expect(predict({ [field]: thin })).rejects.toMatchObject({
        field,
        message: expect.stringMatching(message),
      });
    }
  });

  test('of one pixel are looked at', async () => {
    const pixel = place('pixel.png');
    await sharp({ create: { width: 1, height: 1, channels: 3, background: 'teal' } }).toFile(pixel);
    const sight = { faces: [], width: 1280, height: 1280 };
    await expect(predict({ image: pixel }, full([sight]))).rejects.toMatchObject({
      field: 'image',
      message: expect.stringContaining('could not find a face'),
    });
  });

  test('that are none, or damaged, are refused', async () => {
    const [note, cut] = [place('note.png'), place('cut.jpg')];
    writeFileSync(note, 'hello');
    writeFileSync(cut, readFileSync(portrait).subarray(0, 9000));
    for (const field of ['image', 'pose_image'] as const) {
      await expect(predict({ [field]: note })).rejects.toThrow(
        new RegExp(`^${field} is not a picture that can be read`),
      );
      await expect(predict({ [field]: cut })).rejects.toThrow(new RegExp(`^${field} is damaged or incomplete`));
    }
  });

  test('that EXIF turns are turned', async () => {
    const turned = place('turned.webp');
    await sharp(strip).rotate(270).withMetadata({ orientation: 6 }).webp({ lossless: true }).toFile(turned);
    expect(await draw({ ...quick, image: turned })).toBe(await only(quick));
  });

  test('with transparency are seen on white', async () => {
    const [clear, white] = [place('clear.png'), place('white.png')];
    const half = { left: 0, top: 0, width: 160, height: 20 };
    const opaque = await sharp(strip).extract(half).toBuffer();
    const side = { top: 0, bottom: 0, left: 0, right: 160 };
    await sharp(opaque)
      .extend({ ...side, background: { r: 0, g: 0, b: 0, alpha: 0 } })
      .toFile(clear);
    await sharp(opaque)
      .extend({ ...side, background: 'white' })
      .toFile(white);
    expect((await sharp(clear).metadata()).hasAlpha).toBe(true);
    expect(await draw({ ...quick, image: clear })).toBe(await draw({ ...quick, image: white }));
  });
});

test('a seed of more than 64 bits is refused', async () => {
  await expect(predict({ seed: '18446744073709551616' })).rejects.toMatchObject({ name: 'InputError', field: 'seed' });
});

test('empty prompts are prompts, and of long ones the log shows the beginning', async () => {
  const drawn = await only({ ...quick, prompt: '' });
  expect(drawn).not.toBe(await only(quick));
  const lines = await linesOf(() => predict({ ...quick, prompt: '', negative_prompt: 'x'.repeat(1001) }));
  const logged = ['[Debug] Prompt: , ', `[Debug] Neg Prompt: ${'x'.repeat(1000)} …`];
  expect(lines).toEqual(expect.arrayContaining(logged));
});

test('the log says what the original says', async () => {
  const lines = await linesOf(() => predict({ ...quick, num_outputs: 2, output_format: 'jpg' }));
  expect(lines[0]).toBe('Using seed: 7');
  const saved = (index: number): string[] => [
    'NSFW content detected: False',
    `[~] Saving to out_${index}.jpeg...`,
    '[~] Output format: JPEG',
    '[~] Output quality: 80',
  ];
  expect(lines.slice(lines.indexOf('Start inference...'))).toEqual([
    'Start inference...',
    '[Debug] Prompt: a bronze bust, ',
    '[Debug] Neg Prompt: blurry',
    ...saved(0),
    ...saved(1),
  ]);
});

test('the mini set, which finds nobody, takes a face in the middle for granted and says so', async () => {
  const lines = await linesOf(() => predict({ ...quick, pose_image: otherStrip }));
  expect(lines.filter((line) => line.startsWith('Faces:'))).toEqual(
    ['image', 'pose_image'].map((field) => expect.stringMatching(new RegExp(`finds nobody, .* middle of ${field} `))),
  );
});

describe('faces, as the full set finds them', () => {
  const with_ = async (sights: readonly GivenSight[], changes: Partial<Request> = {}): Promise<string> =>
    textOf((await predict({ ...quick, ...changes }, full(sights)))[0]!);

  test('of twenty in the photograph the wide one low in the picture counts, and not the surest', async () => {
    const crowd = Array.from({ length: 19 }, (_, index) => givenFace(4 + 60 * index, 1, 20, 0.99 - 0.01 * index));
    const low = givenFace(1180, 12, 24, 0.6);
    const picture = await with_([inPhotograph(...crowd, low)]);
    expect(picture).toBe(await with_([inPhotograph(low)]));
    expect(picture).not.toBe(await with_([inPhotograph(crowd[0]!)]));
    // Who it is is read off the same one; where it shall be is then the pose's matter.
    const pose = { pose_image: otherStrip };
    const elsewhere = inPose(givenFace(300, 4, 30));
    const posed = await with_([inPhotograph(...crowd, low), elsewhere], pose);
    expect(posed).toBe(await with_([inPhotograph(low), elsewhere], pose));
    expect(posed).not.toBe(await with_([inPhotograph(crowd[0]!), elsewhere], pose));
  });

  test('of several in the pose the last one counts, of which the detector is least sure', async () => {
    const [sure, unsure] = [givenFace(100, 2, 36, 0.9), givenFace(700, 8, 30, 0.55)];
    const photograph = inPhotograph(givenFace(20, 4, 30));
    const changes = { pose_image: otherStrip };
    const picture = await with_([photograph, inPose(sure, unsure)], changes);
    expect(picture).toBe(await with_([photograph, inPose(unsure)], changes));
    expect(picture).not.toBe(await with_([photograph, inPose(sure)], changes));
  });

  test.each([
    ['cut by the border', givenFace(1262, -9, 40)],
    ['of 20 pixels', givenFace(600, 20, 20)],
  ])('a face %s is one like others', async (_, found) => {
    expect(await with_([inPhotograph(found)])).not.toBe(await with_([inPhotograph(givenFace(100, 4, 36))]));
  });

  test.each([
    ['image', [inPhotograph()]],
    ['pose_image', [inPhotograph(givenFace(20, 4, 30)), inPose()]],
  ] as const)('%s: the original’s words, and the field', async (field, sights) => {
    const message =
      `Face detector could not find a face in the \`${field}\`. ` + `Please use a different \`${field}\` as input.`;
    const lines = await linesOf(() =>
      expect(predict({ pose_image: otherStrip }, full(sights))).rejects.toMatchObject({
        name: 'InputError',
        field,
        message,
      }),
    );
    expect(lines.join()).toContain('non-commercial research only');
  });
});

test('an unsafe picture fails the whole prediction in the original’s words, and no file comes out', async () => {
  let checked = 0;
  /** Of the second picture the checker is certain. */
  const residency = watching(context.residency, ({ key, results }) => {
    if (!key.startsWith('safety-checker') || ++checked < 2) return undefined;
    return { ...results, thresholds: { ...results.thresholds!, data: new Float32Array(17).fill(-1) } };
  });
  const files: OutputFile[] = [];
  const run = async (): Promise<void> => {
    const changed = { ...request, ...quick, num_outputs: 3 };
    for await (const file of instantId.predict(changed, { ...context, residency })) files.push(file);
  };
  const message = 'NSFW content detected. Try running it again, or try a different prompt.';
  const lines = await linesOf(() => expect(run()).rejects.toMatchObject({ name: 'InputError', message }));
  expect(files).toEqual([]);
  expect(lines.filter((line) => line.startsWith('NSFW content detected: '))).toEqual([
    'NSFW content detected: False',
    'NSFW content detected: True',
  ]);
});

test('the nine networks that a prediction takes turns with stay loaded for the next one', async () => {
  const loaded: string[] = [];
  const use: Residency['use'] = (network, work) =>
    context.residency.use(network, work, ({ type, key }) => void (type === 'loaded' && loaded.push(key)));
  const changes = { ...quick, enable_depth_controlnet: true };
  for (const residency of [context.residency, { ...context.residency, use }]) {
    await predict(changes, { ...context, residency });
  }
  expect(loaded).toEqual([]);
});
