import { totalmem } from 'node:os';
import type { Settings } from '../base/settings.ts';

/** The rest is for the system, the server, the database and pictures. */
const shareForNetworks = 0.75;

/**
 * Bytes that the networks of one engine may take: of what is set, or of what this machine, or the container's limit,
 * has. Engines that work at the same time share it.
 */
export function memoryBudget(
  { memory, concurrency }: Pick<Settings, 'memory' | 'concurrency'>,
  available = availableMemory(),
): number {
  return Math.floor((memory ?? available * shareForNetworks) / Math.max(1, concurrency));
}

function availableMemory(): number {
  // Without a limit Node gives zero, or more than there is.
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}
