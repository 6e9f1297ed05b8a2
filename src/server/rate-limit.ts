/**
 * How often one caller may ask. A token bucket for each: it holds as many requests as a minute allows and fills up
 * evenly, so bursts pass and a steady caller is never stopped. A refused request takes nothing out: the JavaScript
 * client repeats one six times within a tenth of a second. The count is of this process alone.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Settings } from '../base/settings.ts';
import { throttled } from './errors.ts';

/** Limits of a server that asks for tokens, per account and minute, as the public service documents them. */
const defaultLimits = { creates: 600, requests: 3000 };

/** Buckets kept at the most; beyond that full ones are forgotten, which changes nothing, then the oldest. */
const mostBuckets = 10_000;

export interface Verdict {
  passed: boolean;
  /** Requests that would pass now. */
  remaining: number;
  /** Seconds until the bucket is full. */
  reset: number;
  /** Seconds until one more request passes. */
  retryAfter: number;
}

export interface Buckets {
  take(key: string): Verdict;
  /** What `take` would say, without taking. */
  look(key: string): Verdict;
}

/** @param now milliseconds, of a clock that never goes back */
export function createBuckets(perMinute: number, now: () => number = () => performance.now()): Buckets {
  const perMs = perMinute / 60_000;
  const buckets = new Map<string, { level: number; at: number }>();
  const levelOf = (key: string, time: number): number => {
    const bucket = buckets.get(key);
    return bucket ? Math.min(perMinute, bucket.level + (time - bucket.at) * perMs) : perMinute;
  };
  const verdict = (level: number, passed: boolean): Verdict => ({
    passed,
    remaining: Math.floor(level),
    reset: Math.ceil((perMinute - level) / perMs / 1000),
    retryAfter: Math.max(1, Math.ceil((1 - level) / perMs / 1000)),
  });
  const makeRoom = (time: number): void => {
    for (const key of buckets.keys()) if (levelOf(key, time) >= perMinute) buckets.delete(key);
    for (const key of buckets.keys()) if (buckets.size >= mostBuckets) buckets.delete(key);
  };
  return {
    take(key) {
      const time = now();
      const level = levelOf(key, time);
      if (level < 1) return verdict(level, false);
      if (!buckets.has(key) && buckets.size >= mostBuckets) makeRoom(time);
      buckets.set(key, { level: level - 1, at: time });
      return verdict(level - 1, true);
    },
    look(key) {
      const level = levelOf(key, now());
      return verdict(level, level >= 1);
    },
  };
}

/** Counts a request of an account. @throws Problem 429 */
export type RateLimit = (request: FastifyRequest, reply: FastifyReply, open: boolean) => void;

type LimitSettings = Pick<Settings, 'createsPerMinute' | 'requestsPerMinute'>;

/** A server that asks for no token has one caller and no limits, unless they are set. */
export function createRateLimit({ createsPerMinute, requestsPerMinute }: LimitSettings): RateLimit {
  const creates = createBuckets(createsPerMinute ?? defaultLimits.creates);
  const others = createBuckets(requestsPerMinute ?? defaultLimits.requests);
  return (request, reply, open) => {
    const isCreate = request.method === 'POST' && /\/(?:predictions|trainings)$/.test(request.routeOptions.url ?? '');
    const setting = isCreate ? createsPerMinute : requestsPerMinute;
    if (setting === 0 || (open && setting === undefined)) return;
    const { passed, remaining, reset, retryAfter } = (isCreate ? creates : others).take(request.account);
    reply.headers({ 'ratelimit-remaining': remaining, 'ratelimit-reset': reset });
    if (!passed) throw throttled(retryAfter);
  };
}
