/**
 * Paths for LoRAs that callers sent themselves. Each prediction has files of its own, but engines know networks by the paths
 * of their weights: the same bytes get the same path, so that a second prediction finds its networks loaded.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { linkOrCopy } from './local-files.ts';

export interface LoraShelf {
  /**
   * @param path of the LoRA, for this one holder
   * @returns the path of the same bytes for all; it is there until the last holder lets go
   */
  place(path: string, holder: string): Promise<string>;
  release(holder: string): Promise<void>;
}

/** @param folder of this process alone */
export function createLoraShelf(folder: string): LoraShelf {
  const holders = new Map<string, Set<string>>();
  // One at a time: whoever comes while the last holder goes must not find half of that.
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <Result>(work: () => Promise<Result>): Promise<Result> => {
    const done = turn.then(work);
    turn = done.catch(() => {});
    return done;
  };
  return {
    async place(path, holder) {
      const shared = join(folder, `lora-${await digestOf(path)}.safetensors`);
      return inTurn(async () => {
        if (!holders.has(shared)) await linkOrCopy(path, shared);
        holders.set(shared, (holders.get(shared) ?? new Set()).add(holder));
        return shared;
      });
    },
    release: (holder) =>
      inTurn(async () => {
        for (const [shared, those] of holders) {
          if (!those.delete(holder) || those.size > 0) continue;
          holders.delete(shared);
          await rm(shared, { force: true });
        }
      }),
  };
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
