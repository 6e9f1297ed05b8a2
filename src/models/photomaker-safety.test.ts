/** Pictures that the safety checker finds unsafe are left out, on the mini set. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { miniContext } from '../../test/support/mini-context.ts';
import type { PredictContext } from '../catalog/model.ts';
import type { Residency } from '../runtime/residency.ts';
import { readBytes, readSafetensors } from '../weights/safetensors.ts';
import { type TensorToWrite, writeSafetensors } from '../weights/write-safetensors.ts';
import photomaker from './photomaker.ts';

const folder = mkdtempSync(join(tmpdir(), 'darkroom-safety-'));
const mini = miniContext();
afterAll(async () => {
  await mini.close();
  rmSync(folder, { recursive: true });
});

const outputs = 3;
const request = {
  input_image: fileURLToPath(new URL('../../test/fixtures/photos/eileen-collins.jpg', import.meta.url)),
  input_image2: undefined,
  input_image3: undefined,
  input_image4: undefined,
  prompt: 'a photo of a woman img',
  style_name: '(No style)',
  negative_prompt: '',
  num_steps: 1,
  style_strength_ratio: 20,
  num_outputs: outputs,
  guidance_scale: 5,
  seed: 7,
  disable_safety_checker: false,
} as const;

async function predict(changes: Partial<PredictContext>) {
  const names: string[] = [];
  const lines: string[] = [];
  const context = { ...mini, log: (line: string) => void lines.push(line), ...changes };
  for await (const { name } of photomaker.predict(request, context)) names.push(name);
  return { names, lines: lines.slice(lines.indexOf('Start merge step: 0') + 1) };
}

/** How near each picture is to the first concept, and where the networks lie. */
async function observe(): Promise<{ cosines: number[]; folders: string[] }> {
  const cosines: number[] = [];
  const folders: string[] = [];
  const residency: Residency = {
    ...mini.residency,
    use: (network, work) =>
      mini.residency.use(network, (session) =>
        work({
          ...session,
          async run(feeds) {
            const result = await session.run(feeds);
            if (result.thresholds) cosines.push((result.cosines!.data as Float32Array)[0]!);
            return result;
          },
        }),
      ),
  };
  const locate: PredictContext['locate'] = async (repositories) => {
    const located = await mini.locate(repositories);
    folders.push(...located.folders);
    return located;
  };
  await predict({ residency, locate });
  return { cosines, folders };
}

/** The same networks, but the safety checker has this threshold for its first concept. */
async function withThreshold(folders: readonly string[], name: string, threshold: number) {
  const changed = join(folder, name);
  const safetyFolder = folders.at(-1)!;
  for (const part of ['safety_checker', 'feature_extractor']) {
    cpSync(join(safetyFolder, part), join(changed, part), { recursive: true });
  }
  const file = join(changed, 'safety_checker', 'model.safetensors');
  const tensors = new Map<string, TensorToWrite>();
  for (const [tensorName, tensor] of (await readSafetensors(file)).tensors) {
    // A copy that is aligned and may be written to.
    const bytes = Uint8Array.from(await readBytes(tensor));
    if (tensorName === 'concept_embeds_weights') new Float32Array(bytes.buffer)[0] = threshold;
    tensors.set(tensorName, { dtype: tensor.dtype, shape: tensor.shape, bytes });
  }
  await writeSafetensors(file, tensors);
  return predict({ locate: async () => ({ set: 'mini', folders: [...folders.slice(0, -1), changed] }) });
}

test('unsafe pictures are left out, and the others keep their numbers', async () => {
  const { cosines, folders } = await observe();
  expect(cosines).toHaveLength(outputs);
  const [lowest, middle, highest] = cosines.toSorted((left, right) => left - right) as [number, number, number];
  // Cosines are compared to three places.
  expect(middle - lowest).toBeGreaterThan(0.002);

  const two = await withThreshold(folders, 'two', (lowest + middle) / 2);
  const safe = cosines.indexOf(lowest);
  const unsafe = [0, 1, 2].filter((index) => index !== safe);
  expect(two.names).toEqual([`image_${safe}.png`]);
  expect(two.lines).toEqual([
    'Running safety checker...',
    'Saving images to file...',
    ...unsafe.map((index) => `NSFW content detected in image ${index}`),
  ]);

  const all = await withThreshold(folders, 'all', lowest - 0.01);
  expect(all.names).toEqual([]);
  expect(highest).toBeGreaterThan(lowest);
});
