import { expect, test } from 'vitest';
import { runProgram } from '../../test/support/program.ts';

test.each([
  [['modls'], /^darkroom: There is no command "modls"\. There are: serve, worker, predict, models, token, .*\.\n$/],
  [['predict', '--foo'], /^darkroom: Unknown option '--foo'\.\nSee: darkroom predict --help\n$/],
  [['predict', '-o'], /^darkroom: Option '-o, --output <value>' argument missing\.\nSee: darkroom predict --help\n$/],
  [['serve', '5000'], /^darkroom: Unexpected argument '5000'\. .*\.\nSee: darkroom serve --help\n$/],
  [['models', 'a', 'b'], /^darkroom: Name one model, or none: darkroom models \[owner\/name\]\n$/],
])('%j is refused with what would do', async (args, message) => {
  const { code, stdout, stderr } = await runProgram(args);
  expect(stderr).toMatch(message);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
});
