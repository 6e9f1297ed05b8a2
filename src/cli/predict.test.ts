import { expect, test } from 'vitest';
import { runProgram } from '../../test/support/program.ts';

test.each([
  [['-o', '/nowhere/film.mp4'], /saved in the folder \/nowhere\. Name a file elsewhere/],
  [['-o', '.'], /-o \. is a folder\. Name a file in it/],
])('%j is refused before the model runs', async (flags, message) => {
  const { code, stdout, stderr } = await runProgram(['predict', 'animate-diff', ...flags]);
  expect(stderr).toMatch(message);
  expect(stderr).not.toContain('Weights');
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
});

test('every fault of an input is a line that names it once', async () => {
  const flags = ['-i', 'num_inference_steps=0', '-i', 'output_format=gif', '-i', 'guidance_scale=0.5'];
  const { code, stdout, stderr } = await runProgram(['predict', 'instant-id', ...flags]);
  expect(stderr).toBe(
    [
      'darkroom: The input cannot be used:',
      '  image is required',
      '  guidance_scale: Must be greater than or equal to 1',
      '  num_inference_steps: Must be greater than or equal to 1',
      '  output_format must be one of the following: "webp", "jpg", "png"',
      'See: darkroom models zsxkib/instant-id',
      '',
    ].join('\n'),
  );
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
});
