/**
 * Creates that a client sends again because its connection broke before it had the answer. Clients do so by themselves:
 * the JavaScript client up to five times, at once.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { FastifyReply } from 'fastify';

/** How long after the break the same request is taken for a resend. */
const resendMs = 2_000;

interface Try<Made> {
  made: Promise<Made>;
  isBroken(): boolean;
}

export interface Resends<Made> {
  /**
   * What `make` makes; where the same request came just before and its connection broke before the answer was sent, what
   * that one made. Requests that come beside each other each make their own.
   *
   * @param sameness equal for equal requests of one account
   */
  once(sameness: string, reply: FastifyReply, make: () => Promise<Made>): Promise<Made>;
}

export function createResends<Made>(): Resends<Made> {
  const tries = new Map<string, Set<Try<Made>>>();

  const remove = (sameness: string, one: Try<Made>): void => {
    const others = tries.get(sameness);
    others?.delete(one);
    if (others?.size === 0) tries.delete(sameness);
  };
  /** Each broken request stands for one resend. */
  const takeBroken = (sameness: string): Try<Made> | undefined => {
    const broken = [...(tries.get(sameness) ?? [])].find((earlier) => earlier.isBroken());
    if (broken) remove(sameness, broken);
    return broken;
  };

  return {
    async once(sameness, { raw, request }, make) {
      const { socket } = request.raw;
      const isGone = (): boolean => socket.destroyed || socket.readableEnded;
      if (tries.has(sameness)) {
        // The news that an earlier connection broke may have come together with this request.
        await nextTurn();
        const [other] = tries.get(sameness) ?? [];
        // Nobody hears the answer, and the resend of this very request was perhaps faster.
        if (other && isGone()) return other.made;
      }
      const made = takeBroken(sameness)?.made.catch(make) ?? make();
      // Asked once the connection is closed: what is sent afterwards counts as sent although nobody hears it.
      let isUnanswered = false;
      const one = { made, isBroken: () => isUnanswered || (isGone() && !raw.writableFinished) };
      tries.set(sameness, (tries.get(sameness) ?? new Set()).add(one));
      const over = (): void => {
        isUnanswered = !raw.writableFinished;
        if (isUnanswered) setTimeout(() => remove(sameness, one), resendMs).unref();
        else remove(sameness, one);
      };
      if (socket.destroyed) over();
      else raw.once('close', over);
      try {
        return await made;
      } catch (error) {
        remove(sameness, one);
        throw error;
      }
    },
  };
}
