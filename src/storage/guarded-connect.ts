/** Connections to URLs of callers: the address that was checked is the address that is connected to. */
import { lookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { Agent } from 'undici';
import { isPublicAddress } from './public-address.ts';

/** Why a URL is not opened; the URL itself is put before it. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
}

/**
 * One agent for one transfer: a connection is never reused for a name that was checked in another transfer.
 *
 * @param notPublic why an address that is not public is refused; without it every address is allowed
 */
export function guardedAgent(notPublic: Refusal | undefined): Agent {
  return new Agent({ connect: { lookup: checkedLookup(notPublic) } });
}

/** Whether the URL holds an address, not a name, and that is not public: it is connected to without a look-up. */
export function isPrivateLiteral({ hostname }: URL): boolean {
  const host = hostname.replace(/^\[|\]$/g, '');
  return isIP(host) !== 0 && !isPublicAddress(host);
}

/** Looks a name up once, checks every address, and hands these very addresses to the socket: no second look-up. */
function checkedLookup(notPublic: Refusal | undefined): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, '', 0);
      if (notPublic && !addresses.every(({ address }) => isPublicAddress(address))) return callback(notPublic, '', 0);
      if (options.all) return callback(null, addresses);
      return callback(null, addresses[0]!.address, addresses[0]!.family);
    });
  };
}
