/**
 * What protects a server that asks for no token. It is reachable from its own machine alone, but so is every web page
 * open in a browser there: such a page may send requests to it, and by DNS rebinding even read the answers.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { SettingsError } from '../base/errors.ts';
import type { Settings } from '../base/settings.ts';
import { badRequest, forbidden, type Problem } from './errors.ts';

type AccessSettings = Pick<Settings, 'apiTokens' | 'host' | 'publicUrl'>;

/** @throws SettingsError when the address is open to other machines and no token protects it */
export function checkListenAddress(settings: AccessSettings): void {
  if (settings.apiTokens.length > 0 || isLoopbackName(settings.host)) return;
  throw new SettingsError(
    `HOST is ${settings.host}, which other machines can reach, and no token protects the server. ` +
      'Set DARKROOM_API_TOKENS to one or more secret tokens, or leave HOST at 127.0.0.1.',
  );
}

/** What is wrong with where the request says it comes from and goes to; `undefined` when nothing is. */
export function accessFault(
  settings: AccessSettings,
  method: string,
  headers: IncomingHttpHeaders,
): Problem | undefined {
  const host = headers.host ?? '';
  if (!isHost(host)) {
    return badRequest('The Host header does not hold a host name.');
  }
  if (settings.apiTokens.length > 0) return undefined;
  if (!isOwnName(settings, `http://${host}`)) {
    return forbidden(
      `This server asks for no token and therefore answers to loopback names alone, not to "${host}". ` +
        'Use http://127.0.0.1, or name the origin in DARKROOM_PUBLIC_URL, or set DARKROOM_API_TOKENS.',
    );
  }
  const harmless = method === 'GET' || method === 'HEAD' || method === 'OPTIONS';
  if (!harmless && headers.origin !== undefined && !isOwnName(settings, headers.origin)) {
    return forbidden(
      `A web page of ${JSON.stringify(headers.origin)} may not change anything here while no token is asked for. ` +
        'Set DARKROOM_API_TOKENS and have the page send one.',
    );
  }
  return undefined;
}

/** A name or an address, perhaps with a port: nothing that could mean more inside a URL. */
export function isHost(text: string): boolean {
  return /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/.test(text);
}

function isOwnName(settings: AccessSettings, origin: string): boolean {
  if (!URL.canParse(origin)) return false;
  const { hostname, host } = new URL(origin);
  return isLoopbackName(hostname) || (settings.publicUrl !== undefined && host === new URL(settings.publicUrl).host);
}

export function isLoopbackName(hostname: string): boolean {
  const bare = hostname.toLowerCase().replace(/^\[|\]$/g, '');
  return bare === 'localhost' || bare.endsWith('.localhost') || bare === '::1' || /^127(?:\.\d{1,3}){3}$/.test(bare);
}
