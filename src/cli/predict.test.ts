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
