import { expect, test } from 'vitest';
import { residencyLine } from './residency-line.ts';

const unet = {
  key: 'unet, batch 2, 64×64, 77 tokens, of /home/me/.cache/unet, controlnet batch 1 of /home/me/.cache/canny',
  memory: { weights: 4_883_200_336, working: 221_516_800 },
};

test('what was loaded and released, without the folders of this machine', () => {
  expect(residencyLine({ ...unet, type: 'loaded', milliseconds: 482 })).toBe(
    'Loaded unet: 4.9 GB of weights, in 0.5 s.',
  );
  expect(residencyLine({ ...unet, type: 'released', milliseconds: 90 })).toBe(
    'Released unet, which was not in use: 4.9 GB of weights.',
  );
  expect(residencyLine({ ...unet, key: 'hed of /models/hed.pth', type: 'released', milliseconds: 90 })).toMatch(
    /^Released hed, /,
  );
});
