/**
 * Which addresses a LoRA may be fetched from. They are compared as URLs, part by part: an address that only contains an
 * allowed one is another address.
 */
import { InputError } from '../base/errors.ts';

/** Where Replicate's trainers put what they made. */
const trainers: readonly (readonly [origin: string, path: RegExp])[] = [
  ['https://replicate.delivery', /^\/pbxt\/[A-Za-z0-9_-]+\/trained_model\.tar$/],
  ['https://pbxt.replicate.delivery', /^\/[A-Za-z0-9_-]+\/trained_model\.tar$/],
];

/**
 * @param origins what the operator allows besides: addresses that a LoRA's address begins with
 * @param field name of the input, for messages
 * @throws InputError for every other address
 */
export function checkLoraUrl(url: string, origins: readonly string[], field: string): void {
  if (URL.canParse(url) && isAllowed(new URL(url), origins)) return;
  const besides = origins.length > 0 ? `, or begin with ${origins.join(' or ')}` : '';
  throw new InputError(
    `${field}: Custom LoRA URL format is not supported. Must be in the format ` +
      'https://replicate.delivery/pbxt/[id]/trained_model.tar or ' +
      `https://pbxt.replicate.delivery/[id]/trained_model.tar${besides}. ` +
      'Or upload the file (POST /v1/files) and give its address here; ' +
      'who runs this server can allow more with DARKROOM_LORA_ORIGINS.',
    field,
  );
}

function isAllowed(url: URL, origins: readonly string[]): boolean {
  if (url.username || url.password) return false;
  // Servers that decode these in a path would leave the allowed folder.
  if (/%(?:2e|2f|5c)/i.test(url.pathname)) return false;
  if (origins.some((allowed) => begins(url, new URL(allowed)))) return true;
  return (
    url.search === '' &&
    url.hash === '' &&
    trainers.some(([origin, path]) => url.origin === origin && path.test(url.pathname))
  );
}

function begins({ origin, pathname }: URL, allowed: URL): boolean {
  const folder = allowed.pathname.endsWith('/') ? allowed.pathname : `${allowed.pathname}/`;
  return origin === allowed.origin && (pathname === allowed.pathname || pathname.startsWith(folder));
}
