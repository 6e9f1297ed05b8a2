import { readFile } from 'node:fs/promises';
import { SettingsError } from '../base/errors.ts';
import type { Command } from './command.ts';
import { UsageError } from './command.ts';

const commands: Record<string, { summary: string; load(): Promise<{ default: Command }> }> = {
  serve: { summary: 'start the server (and a worker in it)', load: () => import('./serve.ts') },
  worker: { summary: 'run predictions for a server on another machine or process', load: () => import('./worker.ts') },
  predict: { summary: 'run one prediction here, without a server', load: () => import('./predict.ts') },
  models: { summary: 'list the models, or the inputs of one', load: () => import('./models.ts') },
  token: { summary: 'make, list and revoke API tokens', load: () => import('./token.ts') },
  'webhook-secret': { summary: 'replace what webhooks are signed with', load: () => import('./webhook-secret.ts') },
  parity: { summary: "check numbers against a reference's", load: () => import('./parity.ts') },
};

const overview = `Darkroom runs image models on this machine and speaks Replicate's HTTP API.

Usage: darkroom <command> [options]

${Object.entries(commands)
  .map(([name, { summary }]) => `  ${name.padEnd(16)}${summary}`)
  .join('\n')}

  darkroom <command> --help    what the command does, its options, examples
  darkroom --version

Most settings are environment variables (PORT, DARKROOM_HOME, DATABASE_URL, …); docs/operating.md has them all.
`;

/** Exit codes: 0 done, 1 failed, 2 the command line or a setting cannot be used, 130 canceled by Ctrl+C. */
async function main([name, ...rest]: string[]): Promise<number> {
  if (name === '--version' || name === '-v') {
    const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'));
    process.stdout.write(`${version}\n`);
    return 0;
  }
  if (name === undefined || name === '--help' || name === '-h' || (name === 'help' && rest.length === 0)) {
    process.stdout.write(overview);
    return name === undefined ? 2 : 0;
  }
  const wanted = name === 'help' ? rest[0]! : name;
  const entry = Object.hasOwn(commands, wanted) ? commands[wanted] : undefined;
  if (!entry) throw new UsageError(`There is no command "${wanted}". There are: ${Object.keys(commands).join(', ')}.`);
  const { default: command } = await entry.load();
  if (name === 'help' || rest.includes('--help') || rest.includes('-h')) {
    process.stdout.write(command.help);
    return 0;
  }
  return command.run(rest);
}

/** `node:util` refuses an unknown option in words that can be shown, but for its advice on arguments that begin with a dash. */
function usageFault(error: unknown, command: string | undefined): string | undefined {
  if (error instanceof UsageError || error instanceof SettingsError) return error.message;
  const isFromParseArgs = error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');
  if (!isFromParseArgs) return undefined;
  const [what] = error.message.split(' To specify a positional argument');
  return `${what!.replace(/[^.?]$/, '$&.')}\nSee: darkroom ${command} --help`;
}

/** A folder that may not be written to, or a full disk: the system's own words name the path. */
function isFromDisk(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && /^(EACCES|EPERM|EROFS|ENOSPC|EDQUOT)$/.test(String(error.code));
}

const diskRemedy = 'Darkroom writes to DARKROOM_HOME (~/.darkroom) and to the temporary folder (TMPDIR).';

function explain(error: unknown): string {
  if (isFromDisk(error)) return `${error.message}\n${diskRemedy}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

// Who reads may stop early, as in `darkroom models | head`: the rest is for nobody.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const fault = usageFault(error, process.argv[2]);
  process.stderr.write(`darkroom: ${fault ?? explain(error)}\n`);
  // Not `exitCode`: what was opened before the fault (a database, an engine) would keep the process alive.
  process.exit(fault === undefined ? 1 : 2);
}
