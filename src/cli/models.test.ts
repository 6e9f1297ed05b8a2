import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { runProgram } from '../../test/support/program.ts';

const folder = mkdtempSync(join(tmpdir(), 'darkroom-models-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('of each repository of weights its licence, what is here and where, and how to get the rest', async () => {
  const weights = join(folder, 'weights');
  put(join(weights, 'TencentARC/PhotoMaker/photomaker-v1.bin'), 'x'.repeat(1500));
  put(join(weights, 'stable-diffusion-v1-5/stable-diffusion-v1-5/safety_checker/config.json'), ' '.repeat(700));
  const { code, stdout } = await runProgram(['models', 'photomaker'], {
    DARKROOM_WEIGHTS_PATH: weights,
    HF_HOME: join(folder, 'hub'),
  });
  expect(code).toBe(0);
  expect(stdout).toContain(
    [
      '  SG161222/RealVisXL_V3.0',
      '      CreativeML OpenRAIL++-M, commercial use allowed',
      '      missing  scheduler/scheduler_config.json',
      '',
    ].join('\n'),
  );
  expect(stdout).toContain(
    '      or save: the model in one file as <DARKROOM_WEIGHTS_PATH>/SG161222/RealVisXL_V3.0/checkpoint.safetensors\n',
  );
  expect(stdout).toContain(
    [
      '  TencentARC/PhotoMaker',
      '      Apache 2.0, commercial use allowed',
      `      in ${weights}/TencentARC/PhotoMaker`,
      '      present  photomaker-v1.bin  1.5 kB',
      '  stable-diffusion-v1-5/stable-diffusion-v1-5',
      '      CreativeML OpenRAIL-M, commercial use allowed',
      `      in ${weights}/stable-diffusion-v1-5/stable-diffusion-v1-5`,
      '      present  safety_checker/config.json  0.7 kB',
      '      missing  safety_checker/model.safetensors  1.2 GB',
      '      missing  feature_extractor/preprocessor_config.json',
      '      get it:  hf download stable-diffusion-v1-5/stable-diffusion-v1-5 safety_checker/model.safetensors ' +
        'feature_extractor/preprocessor_config.json --revision 451f4fe16113bff5a5d2269ed5ad43b0592e9a14',
      '',
    ].join('\n'),
  );
  expect(stdout).toMatch(/\nLooked for in \S+weights \(DARKROOM_WEIGHTS_PATH\) and .* \(HF_HOME\)\.\n$/);
});

function put(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}
