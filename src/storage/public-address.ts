import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/**
 * Whether the address belongs to the public internet. Everything that could name this machine or its neighbours is
 * not: loopback, private, link-local (cloud metadata among it), shared, multicast, documentation and reserved ranges,
 * and IPv6 forms that wrap an IPv4 address (mapped, NAT64, 6to4, Teredo), whichever address they wrap.
 */
export function isPublicAddress(address: string): boolean {
  const bare = address.split('%')[0]!;
  if (isIP(bare) === 0) return false;
  const parsed = ipaddr.process(bare);
  if (parsed.range() !== 'unicast') return false;
  // All global unicast addresses assigned so far begin with the bits 001 (RFC 4291 §2.4); this leaves out
  // IPv4-compatible addresses, for which `range` has no name.
  return parsed.kind() === 'ipv4' || parsed.match(ipaddr.IPv6.parse('2000::'), 3);
}
