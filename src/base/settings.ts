import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { SettingsError } from './errors.ts';

/** Everything that environment variables decide, read once at the start of a process. docs/operating.md lists them. */
export interface Settings {
  host: string;
  port: number;
  /** Data folder: database, files, generated weights. */
  home: string;
  /** PostgreSQL; without it the embedded PGlite in `home`. */
  databaseUrl: string | undefined;
  /** Origin in URLs, when clients reach the server by another name than it sees. */
  publicUrl: string | undefined;
  /** Tokens beside those in the database, each an account of its own. */
  apiTokens: readonly string[];
  /**
   * Whether callers need a token. `auto`: once there is one, and always where other machines reach the server.
   * `none` leaves the protection to whatever stands before the server.
   */
  auth: 'auto' | 'tokens' | 'none';
  /** Origins whose web pages may use the API from a browser; `*` is every origin, where a token is asked for. */
  corsOrigins: readonly string[];
  /** Requests of one account in a minute; 0 is no limit, `undefined` the default of a server that asks for tokens. */
  createsPerMinute: number | undefined;
  requestsPerMinute: number | undefined;
  weights: 'auto' | 'mini' | 'full';
  /** Which published weights may be used: all, or those whose licence allows commercial use. */
  weightLicences: 'all' | 'commercial';
  /** Folder that holds `<owner>/<name>/…` as on the hub; looked at before the Hugging Face cache. */
  weightsPath: string | undefined;
  /** Root of the Hugging Face cache (`<hfHome>/hub`). */
  hfHome: string;
  device: 'auto' | 'cpu' | 'webgpu' | 'cuda' | 'coreml' | 'dml';
  /** Further folders of model files (`.js`, one model each), beside the built-in ones. */
  modelFolders: readonly string[];
  /** Predictions that run at the same time on this machine's device. */
  concurrency: number;
  /** Bytes that the networks of all engines of this machine take together; by default a share of what it has. */
  memory: number | undefined;
  /** How often a prediction is started before it fails, when engines or hosts die under it. */
  maxAttempts: number;
  /** Milliseconds after completion until input, output and logs are deleted; `undefined` keeps them. */
  retentionMs: number | undefined;
  /** Milliseconds of running after which a prediction fails. */
  runTimeoutMs: number;
  /** Milliseconds that an engine has to stop at the next step before it is ended. */
  cancelGraceMs: number;
  /** Milliseconds that what runs has to finish when the process is asked to end; then it is queued again. */
  shutdownGraceMs: number;
  /** Inputs may be fetched from private and loopback addresses. */
  fetchPrivate: boolean;
  /** Largest file of an input URL, bytes. */
  fetchMaxBytes: number;
  fetchTimeoutMs: number;
  /** What addresses of LoRAs may begin with, besides those of Replicate's trainers. */
  loraOrigins: readonly string[];
  /** Largest file of a LoRA's address, bytes. */
  loraMaxBytes: number;
  loraTimeoutMs: number;
  /** Bytes that fetched LoRAs take together on this machine before those that were used longest ago are removed. */
  loraCacheBytes: number;
  /** Webhooks may go to private addresses and by plain http; `undefined`: where only this machine can ask for them. */
  webhookPrivate: boolean | undefined;
  /** Milliseconds after its first attempt until a webhook that has to arrive is given up. */
  webhookGiveUpMs: number;
  /** Largest file of `POST /files`, bytes. */
  uploadMaxBytes: number;
  /** Milliseconds until an uploaded file is removed. */
  uploadExpiryMs: number;
  /** Bytes that the uploaded files of one account take together; `undefined` is no limit. */
  uploadQuota: number | undefined;
  /** Largest JSON body of a request, bytes. */
  bodyMaxBytes: number;
  logLevel: 'debug' | 'info' | 'warn' | 'error' | 'silent';
}

type Environment = Record<string, string | undefined>;

export function readSettings(environment: Environment = process.env): Settings {
  if (environment.DARKROOM_AUTH === 'none' && list(environment.DARKROOM_API_TOKENS).length > 0) {
    throw new SettingsError('DARKROOM_AUTH is none, but DARKROOM_API_TOKENS names tokens. Leave one of them out.');
  }
  const home = resolve(environment.DARKROOM_HOME || join(homedir(), '.darkroom'));
  return {
    host: environment.HOST || '127.0.0.1',
    port: count(environment, 'PORT', 5000, 0, 65_535),
    home,
    databaseUrl: environment.DATABASE_URL || undefined,
    publicUrl: origin(environment, 'DARKROOM_PUBLIC_URL'),
    apiTokens: list(environment.DARKROOM_API_TOKENS),
    auth: oneOf(environment, 'DARKROOM_AUTH', ['auto', 'tokens', 'none']),
    corsOrigins: list(environment.DARKROOM_CORS_ORIGINS).map(corsOrigin),
    createsPerMinute: optionalCount(environment, 'DARKROOM_RATE_CREATES', 0, 1_000_000),
    requestsPerMinute: optionalCount(environment, 'DARKROOM_RATE_REQUESTS', 0, 1_000_000),
    weights: oneOf(environment, 'DARKROOM_WEIGHTS', ['auto', 'mini', 'full']),
    weightLicences: oneOf(environment, 'DARKROOM_WEIGHT_LICENCES', ['all', 'commercial']),
    weightsPath: environment.DARKROOM_WEIGHTS_PATH ? resolve(environment.DARKROOM_WEIGHTS_PATH) : undefined,
    hfHome: resolve(environment.HF_HOME || join(homedir(), '.cache', 'huggingface')),
    device: oneOf(environment, 'DARKROOM_DEVICE', ['auto', 'cpu', 'webgpu', 'cuda', 'coreml', 'dml']),
    modelFolders: list(environment.DARKROOM_MODELS).map((folder) => resolve(folder)),
    concurrency: count(environment, 'DARKROOM_CONCURRENCY', 1, 0, 64),
    memory: size(environment, 'DARKROOM_MEMORY'),
    maxAttempts: count(environment, 'DARKROOM_MAX_ATTEMPTS', 3, 1, 100),
    retentionMs: duration(environment, 'DARKROOM_RETENTION'),
    runTimeoutMs: timer(environment, 'DARKROOM_RUN_TIMEOUT') ?? 6 * 3_600_000,
    cancelGraceMs: timer(environment, 'DARKROOM_CANCEL_GRACE') ?? 15_000,
    // Of the 10 s after which others kill a process, what requests and webhooks leave.
    shutdownGraceMs: timer(environment, 'DARKROOM_SHUTDOWN_GRACE') ?? 5_000,
    fetchPrivate: flag(environment, 'DARKROOM_FETCH_PRIVATE'),
    fetchMaxBytes: count(environment, 'DARKROOM_FETCH_MAX_BYTES', 100 * 1024 * 1024, 1, Number.MAX_SAFE_INTEGER),
    fetchTimeoutMs: timer(environment, 'DARKROOM_FETCH_TIMEOUT') ?? 30_000,
    loraOrigins: list(environment.DARKROOM_LORA_ORIGINS).map(loraOrigin),
    loraMaxBytes: count(environment, 'DARKROOM_LORA_MAX_BYTES', 2 ** 30, 1, Number.MAX_SAFE_INTEGER),
    loraTimeoutMs: timer(environment, 'DARKROOM_LORA_TIMEOUT') ?? 10 * 60_000,
    loraCacheBytes: size(environment, 'DARKROOM_LORA_CACHE') ?? 10 * 2 ** 30,
    webhookPrivate: environment.DARKROOM_WEBHOOK_PRIVATE ? flag(environment, 'DARKROOM_WEBHOOK_PRIVATE') : undefined,
    webhookGiveUpMs: duration(environment, 'DARKROOM_WEBHOOK_GIVE_UP') ?? 60_000,
    uploadMaxBytes: count(environment, 'DARKROOM_UPLOAD_MAX_BYTES', 100 * 1024 * 1024, 1, Number.MAX_SAFE_INTEGER),
    uploadExpiryMs: duration(environment, 'DARKROOM_UPLOAD_EXPIRY') ?? 24 * 3_600_000,
    uploadQuota: size(environment, 'DARKROOM_UPLOAD_QUOTA'),
    bodyMaxBytes: count(environment, 'DARKROOM_BODY_MAX_BYTES', 10 * 1024 * 1024, 1024, 1024 ** 3),
    logLevel: oneOf(environment, 'DARKROOM_LOG_LEVEL', ['info', 'debug', 'warn', 'error', 'silent']),
  };
}

/** `90s`, `15m`, `1h30m`, `7d` or plain seconds, as milliseconds. @throws SettingsError with the variable's name */
export function parseDuration(name: string, value: string): number {
  const units: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
  if (/^\d+$/.test(value)) return Number(value) * 1000;
  if (!/^(\d+(ms|s|m|h|d))+$/.test(value)) {
    throw new SettingsError(`${name} is "${value}"; write a duration such as 90s, 15m, 1h30m or 7d.`);
  }
  let total = 0;
  for (const [, amount, unit] of value.matchAll(/(\d+)(ms|s|m|h|d)/g)) total += Number(amount) * units[unit!]!;
  return total;
}

function duration(environment: Environment, name: string): number | undefined {
  const value = environment[name];
  return value ? parseDuration(name, value) : undefined;
}

/** A duration that a timer of Node can count, whose longest is 2³¹ − 1 ms: a longer one would be over at once. */
function timer(environment: Environment, name: string): number | undefined {
  const milliseconds = duration(environment, name);
  if (milliseconds === undefined || milliseconds < 2 ** 31) return milliseconds;
  throw new SettingsError(`${name} is "${environment[name]}"; the longest is 24d.`);
}

/** `6GiB`, `6GB`, `500MiB` or plain bytes. */
function size(environment: Environment, name: string): number | undefined {
  const value = environment[name];
  if (!value) return undefined;
  const units: Record<string, number> = { '': 1, MB: 1e6, GB: 1e9, MiB: 2 ** 20, GiB: 2 ** 30 };
  const [, amount, unit] = /^(\d+(?:\.\d+)?) ?(|MB|GB|MiB|GiB)$/.exec(value) ?? [];
  const bytes = Math.floor(Number(amount) * (units[unit ?? ''] ?? Number.NaN));
  if (!(bytes > 0)) throw new SettingsError(`${name} is "${value}"; write a size such as 6GiB, 500MB or plain bytes.`);
  return bytes;
}

function count(environment: Environment, name: string, fallback: number, minimum: number, maximum: number): number {
  const value = environment[name];
  if (!value) return fallback;
  const parsed = Number(value);
  if (!Number.isInteger(parsed) || parsed < minimum || parsed > maximum) {
    throw new SettingsError(`${name} is "${value}"; write a whole number from ${minimum} to ${maximum}.`);
  }
  return parsed;
}

function optionalCount(environment: Environment, name: string, minimum: number, maximum: number): number | undefined {
  return environment[name] ? count(environment, name, minimum, minimum, maximum) : undefined;
}

/** The first choice is the default. */
function oneOf<const Choice extends string>(
  environment: Environment,
  name: string,
  choices: readonly Choice[],
): Choice {
  const value = environment[name];
  if (!value) return choices[0]!;
  const found = choices.find((choice) => choice === value);
  if (!found) throw new SettingsError(`${name} is "${value}"; write one of ${choices.join(', ')}.`);
  return found;
}

function flag(environment: Environment, name: string): boolean {
  const value = environment[name];
  if (!value || value === '0' || value === 'false') return false;
  if (value === '1' || value === 'true') return true;
  throw new SettingsError(`${name} is "${value}"; write 1 or 0.`);
}

function origin(environment: Environment, name: string): string | undefined {
  const value = environment[name];
  if (!value) return undefined;
  if (!URL.canParse(value) || !/^https?:$/.test(new URL(value).protocol)) {
    throw new SettingsError(`${name} is "${value}"; write an origin such as https://darkroom.example.`);
  }
  return new URL(value).origin;
}

/** As browsers write it in the header Origin: scheme, host and port, without a path. */
function corsOrigin(value: string): string {
  if (value === '*') return value;
  if (URL.canParse(value) && new URL(value).origin === value) return value;
  throw new SettingsError(
    `DARKROOM_CORS_ORIGINS holds "${value}"; write origins such as https://app.example, without a path, or *.`,
  );
}

function loraOrigin(value: string): string {
  if (URL.canParse(value)) {
    const { protocol, username, password, search, hash, href } = new URL(value);
    if (/^https?:$/.test(protocol) && !username && !password && !search && !hash) return href;
  }
  throw new SettingsError(
    `DARKROOM_LORA_ORIGINS holds "${value}"; write what addresses begin with, such as https://models.example/loras/.`,
  );
}

function list(value: string | undefined): string[] {
  return (value ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean);
}
