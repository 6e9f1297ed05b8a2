/**
 * What protects a server that asks for no token. It is reachable from its own machine alone, but so is every web page
 * open in a browser there: such a page may send requests to it, and by DNS rebinding even read the answers.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { isLoopbackName } from '../base/loopback.ts';
import type { Settings } from '../base/settings.ts';
import { badRequest, forbidden, type Problem } from './errors.ts';

type AccessSettings = Pick<Settings, 'publicUrl' | 'corsOrigins'>;

/** A fault in the Host header that no server answers; `undefined` when there is none. */
export function hostFault(headers: IncomingHttpHeaders): Problem | undefined {
  return isHost(headers.host ?? '') ? undefined : badRequest('The Host header does not hold a host name.');
}

/** What a server without tokens refuses, by where the request says it comes from and goes to. */
export function openServerFault(
  settings: AccessSettings,
  method: string,
  headers: IncomingHttpHeaders,
): Problem | undefined {
  if (!isOwnName(settings, `http://${headers.host}`)) {
    return forbidden(
      `This server asks for no token and therefore answers to loopback names alone, not to "${headers.host}". ` +
        'Use http://127.0.0.1, or make a token with `darkroom token create` and send it with every request.',
    );
  }
  const { origin } = headers;
  const harmless = method === 'GET' || method === 'HEAD' || method === 'OPTIONS';
  if (harmless || origin === undefined || isOwnName(settings, origin) || settings.corsOrigins.includes(origin)) {
    return undefined;
  }
  return forbidden(
    `A web page of ${JSON.stringify(origin)} may not change anything here while no token is asked for. ` +
      'Name its origin in DARKROOM_CORS_ORIGINS, or make a token with `darkroom token create` and have the page send it.',
  );
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
