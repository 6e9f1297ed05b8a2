import { join } from 'node:path';
import type { RgbImage } from '../base/image.ts';
import { type Cosines, judgeSafety, safetyCheckerNetwork } from '../networks/safety-checker.ts';
import type { Residency } from '../runtime/residency.ts';
import { clipPixels, readClipPixelsConfig } from './clip-pixels.ts';

/** What diffusers 0.15.1 says, once for all pictures of a prediction. */
const notice =
  'Potential NSFW content was detected in one or more images. A black image will be returned instead. Try again with ' +
  'a different prompt and/or seed.';

/**
 * The same pictures, black where the safety checker finds something unsafe; after huggingface/diffusers v0.15.1
 * `pipelines/stable_diffusion/pipeline_stable_diffusion_controlnet.py` (`run_safety_checker`). It sees the pictures as
 * they would be saved.
 *
 * @param folder of a Stable Diffusion repository; holds `safety_checker` and `feature_extractor`
 */
export async function* blackenUnsafe(
  residency: Residency,
  folder: string,
  pictures: AsyncIterable<RgbImage>,
  log: (line: string) => void,
): AsyncGenerator<RgbImage> {
  let isFirst = true;
  for await (const picture of pictures) {
    if (!(await isUnsafe(residency, folder, picture))) {
      yield picture;
      continue;
    }
    if (isFirst) log(notice);
    isFirst = false;
    yield { ...picture, data: new Uint8Array(picture.data.length) };
  }
}

/** What the safety checker says of one picture. The folder is as above. */
export async function isUnsafe(residency: Residency, folder: string, picture: RgbImage): Promise<boolean> {
  const pixels = clipPixels(picture, await readClipPixelsConfig(folder));
  const checker = safetyCheckerNetwork(join(folder, 'safety_checker'), { batch: 1 });
  const found = await residency.use(checker, (session) => session.run({ clip_input: pixels }));
  const [verdict] = judgeSafety(found as unknown as Cosines);
  return verdict!.nsfw;
}
