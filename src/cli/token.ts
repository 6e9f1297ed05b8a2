import { parseArgs } from 'node:util';
import { localAccount } from '../accounts/directory.ts';
import type { TokenInfo } from '../accounts/tokens.ts';
import { readSettings } from '../base/settings.ts';
import { withAdministration } from './administration.ts';
import { type Command, UsageError } from './command.ts';

const help = `Makes, lists and revokes the tokens that callers of the API send.

Usage: darkroom token create --name <name> [--account <username>]
       darkroom token list
       darkroom token revoke <id>

A token is printed once, when it is made, and only its digest is stored. With the first one the server begins to ask
every caller for a token, and it does not stop when the last one is revoked (DARKROOM_AUTH=none makes it).

Options
  --name <name>         what the token is for, such as a machine or a program
  --account <username>  whose predictions and files it reaches; made when new
                        (default local: everything from before there were tokens)

The command works beside a running server and without one. It needs the server's DARKROOM_HOME, on the same machine (or
in the same container), or its DATABASE_URL. A revoked token passes no more, at the latest after five seconds.

Examples
  export REPLICATE_API_TOKEN=$(darkroom token create --name laptop)
  darkroom token create --name "web shop" --account shop
  darkroom token revoke 3f9c1a0b7d52
`;

async function run(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    options: { name: { type: 'string' }, account: { type: 'string' } },
    allowPositionals: true,
  });
  const [action, id, ...rest] = positionals;
  const takesId = action === 'revoke';
  if (rest.length > 0 || (id !== undefined) !== takesId || (action !== 'create' && Object.keys(values).length > 0)) {
    throw new UsageError('Write `darkroom token create --name <name>`, `token list` or `token revoke <id>`.');
  }
  if (action === 'create') return create(values.name, values.account ?? localAccount);
  if (action === 'list') return list();
  if (action === 'revoke') return revoke(id!);
  throw new UsageError('Say what to do: `darkroom token create`, `list` or `revoke`.');
}

async function create(name: string | undefined, account: string): Promise<number> {
  if (name === undefined) throw new UsageError('Say what the token is for, as in `--name laptop`.');
  const { token, info, first } = await withAdministration(readSettings(), async (administration) => {
    const first = (await administration.listTokens()).length === 0;
    return { ...(await administration.createToken({ name, account })), first };
  });
  process.stdout.write(`${token}\n`);
  process.stderr.write(`Token ${info.id} of the account ${info.account}. It is shown only now.\n`);
  if (first) process.stderr.write('It is the first: the server asks every caller for a token from now on.\n');
  return 0;
}

async function list(): Promise<number> {
  const tokens = await withAdministration(readSettings(), (administration) => administration.listTokens());
  if (tokens.length === 0) {
    process.stdout.write('There are no tokens; `darkroom token create --name <name>` makes one.\n');
    return 0;
  }
  const rows = [['ID', 'ACCOUNT', 'MADE', 'LAST USED', 'NAME'], ...tokens.map(rowOf)];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  for (const row of rows) {
    const line = row.map((cell, column) => cell.padEnd(widths[column]!)).join('  ');
    process.stdout.write(`${line.trimEnd()}\n`);
  }
  return 0;
}

async function revoke(id: string): Promise<number> {
  const revoked = await withAdministration(readSettings(), (administration) => administration.revokeToken(id));
  if (!revoked) throw new UsageError(`There is no token ${id}; \`darkroom token list\` shows all.`);
  process.stdout.write(`Token ${id} (${revoked.name}) is revoked.\n`);
  return 0;
}

function rowOf({ id, account, name, createdAt, lastUsedAt, revokedAt }: TokenInfo): string[] {
  const used = revokedAt ? `revoked ${day(revokedAt)}` : lastUsedAt ? day(lastUsedAt) : 'never';
  return [id, account, day(createdAt), used, name];
}

function day(date: Date): string {
  return date.toISOString().slice(0, 16).replace('T', ' ');
}

export default { help, run } satisfies Command;
