import { parseArgs } from 'node:util';
import { localAccount } from '../accounts/directory.ts';
import { webhookSecretOverlapMs } from '../accounts/secrets.ts';
import { readSettings } from '../base/settings.ts';
import { withAdministration } from './administration.ts';
import { type Command, UsageError } from './command.ts';

const overlapHours = webhookSecretOverlapMs / 3_600_000;

const help = `Replaces the secret that an account's webhooks are signed with, and prints the new one.

Usage: darkroom webhook-secret rotate [--account <username>]

For ${overlapHours} hours every webhook is signed with the old secret and with the new one, so that receivers can be changed one
after the other. The current secret is at GET /v1/webhooks/default/secret.

Options
  --account <username>  default local

Example
  darkroom webhook-secret rotate --account shop
`;

async function run(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({ args, options: { account: { type: 'string' } }, allowPositionals: true });
  if (positionals.length !== 1 || positionals[0] !== 'rotate') {
    throw new UsageError('Write `darkroom webhook-secret rotate [--account <username>]`.');
  }
  const account = values.account ?? localAccount;
  const secret = await withAdministration(readSettings(), (administration) => administration.rotateSecretOf(account));
  if (secret === undefined) {
    throw new UsageError(`There is no account ${account}; \`darkroom token list\` shows those that have tokens.`);
  }
  process.stdout.write(`${secret}\n`);
  process.stderr.write(`The previous secret signs too for ${overlapHours} hours.\n`);
  return 0;
}

export default { help, run } satisfies Command;
