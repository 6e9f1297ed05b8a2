/** What comes of pictures out of the ordinary, of faces and of nobody, and of LoRAs that are none, on the mini set. */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, describe, expect, test } from 'vitest';
import { faceToManyRequests, type Request } from '../../test/support/face-to-many-requests.ts';
import { type GivenFace, givenFace, givenFaces } from '../../test/support/given-faces.ts';
import type { PredictContext } from '../catalog/model.ts';
import { detectorFile } from '../faces/antelopev2.ts';
import { styleLoras } from '../pipeline/face-to-many-files.ts';
import type { Residency } from '../runtime/residency.ts';
import { readWeightFile } from '../weights/weight-formats.ts';
import { writeSafetensors } from '../weights/write-safetensors.ts';

const { context, place, strip, predict, look, close } = await faceToManyRequests();
afterAll(close);
const refusal = (field: string, message: RegExp) => ({
  name: 'InputError',
  field,
  message: expect.stringMatching(message),
});

describe('pictures', () => {
  /** Of the photograph again, as the autoencoder has it. */
  const digestOf = async (image: string): Promise<string> => {
    const [file] = await predict({ image, denoising_strength: 0 });
    return createHash('sha256').update(file!.bytes).digest('hex');
  };

  test('are seen upright, and on white where they are transparent', async () => {
    const [turned, seen] = [place('turned.png'), place('seen.png')];
    const above = await sharp(strip).extract({ left: 0, top: 0, width: 131, height: 400 }).toBuffer();
    const below = { bottom: 112, background: { r: 0, g: 0, b: 0, alpha: 0 } };
    const clear = await sharp(above).ensureAlpha().extend(below).png().toBuffer();
    await sharp(clear).rotate(270).withMetadata({ orientation: 6 }).toFile(turned);
    expect(await sharp(turned).metadata()).toMatchObject({ orientation: 6, hasAlpha: true });
    await sharp(above).extend({ bottom: 112, background: 'white' }).toFile(seen);
    expect(await digestOf(turned)).toBe(await digestOf(seen));
  });

  test('that are none, or damaged, are refused', async () => {
    const [note, cut] = [place('note.png'), place('cut.png')];
    writeFileSync(note, 'hello');
    writeFileSync(cut, readFileSync(strip).subarray(0, 9000));
    await expect(predict({ image: note })).rejects.toMatchObject(refusal('image', /^image is not a picture that can/));
    await expect(predict({ image: cut })).rejects.toMatchObject(refusal('image', /^image is damaged or incomplete/));
  });
});

describe('faces, as the full set finds them', () => {
  /** They are given, as the published detector would find them; who they are is read off the picture. */
  function full(...faces: GivenFace[]): PredictContext {
    const given = givenFaces(context.residency, [{ faces, width: 262, height: 1024 }]);
    let looked = false;
    const use: Residency['use'] = (network, work, onEvent) => {
      // In smaller copies of the picture the mini set's detector looks, and finds nobody.
      const isGiven = !looked && network.key.startsWith(detectorFile);
      looked ||= isGiven;
      return (isGiven ? given : context.residency).use(network, work, onEvent);
    };
    return {
      ...context,
      residency: { ...given, use },
      locate: async (wanted) => ({ ...(await context.locate(wanted)), set: 'full' }),
    };
  }
  const quick: Partial<Request> = { prompt_strength: 1 };

  test('of twenty the wide one low in the picture counts, and not the surest', async () => {
    const crowd = Array.from({ length: 19 }, (_, index) =>
      givenFace(10 + 8 * index, 4 + 40 * index, 20, 0.99 - 0.01 * index),
    );
    const low = givenFace(150, 900, 60, 0.6);
    const seen = await look(quick, full(...crowd, low));
    expect(seen).toBe(await look(quick, full(low)));
    expect(seen).not.toBe(await look(quick, full(crowd[0]!)));
  });

  test.each([
    ['cut by the border', givenFace(230, -20, 80)],
    ['of 20 pixels', givenFace(100, 400, 20)],
    ['of which the detector is not sure, as in a drawing or from the side', givenFace(60, 300, 120, 0.51)],
  ])('a face %s is one like others', async (_, found) => {
    expect(await look(quick, full(found))).not.toBe(await look(quick, full(givenFace(70, 310, 100))));
  });

  test.each([
    ['nobody', []],
    ['what is less likely a face than not', [givenFace(60, 300, 120, 0.49)]],
  ])('%s is refused', async (_, found) => {
    const before = context.lines.length;
    await expect(predict(quick, full(...found))).rejects.toMatchObject(
      refusal('image', /^No face was found in image\. Send a photograph that shows one from the front/),
    );
    expect(context.lines.slice(before).join()).toContain('non-commercial research only');
  });
});

describe('what is no number', () => {
  test.each([
    ['prompt', { prompt: '(knight:1e38)' }],
    ['negative_prompt', { negative_prompt: '(hat:-1e38)' }],
  ])('comes of weights in %s, and is refused', async (field, changes) => {
    await expect(predict(changes)).rejects.toMatchObject(
      refusal(field, new RegExp(`^${field}: with these weights of words .* the picture would be black\\. Use smaller`)),
    );
  });

  test('comes of a LoRA, and is refused', async () => {
    const { folders } = await context.locate([styleLoras.Emoji]);
    const tensors = await readWeightFile(join(folders[0]!, 'lora.safetensors'));
    const broken = place('broken.safetensors');
    await writeSafetensors(
      broken,
      new Map(
        [...tensors].map(([name, { dtype, shape, byteLength }]) => [
          name,
          // All bits set is no number in any size of floats.
          { dtype, shape, bytes: new Uint8Array(byteLength).fill(0xff) },
        ]),
      ),
    );
    await expect(predict({ custom_lora_url: broken })).rejects.toMatchObject(
      refusal('custom_lora_url', /^custom_lora_url: with this LoRA .* the picture would be black\. It is damaged/),
    );
  });
});

test.each<[string, string, RegExp]>([
  [
    'Stable Diffusion 1.5',
    'lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q',
    /It is a LoRA for another base model/,
  ],
  ['Flux', 'lora_unet_double_blocks_0_img_attn_qkv', /It is a LoRA for another base model/],
  ['nothing that is known', 'blocks.0.lora', /None of its tensors is part of a LoRA of a known layout/],
])('a LoRA for %s is refused before any network runs', async (_, layer, reason) => {
  const other = place('other.safetensors');
  const matrix = (shape: [number, number]) => ({
    dtype: 'F32' as const,
    shape,
    bytes: new Uint8Array(4 * shape[0] * shape[1]),
  });
  await writeSafetensors(
    other,
    new Map([
      [`${layer}.lora_down.weight`, matrix([4, 320])],
      [`${layer}.lora_up.weight`, matrix([320, 4])],
    ]),
  );
  const residency = { ...context.residency, use: () => Promise.reject(new Error('a network was to run')) };
  await expect(predict({ custom_lora_url: other }, { ...context, residency })).rejects.toMatchObject(
    refusal('custom_lora_url', new RegExp(`^custom_lora_url: the LoRA cannot be used\\. .*${reason.source}`)),
  );
});
