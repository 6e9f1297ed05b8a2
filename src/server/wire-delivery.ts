import type { Delivery } from '../webhooks/deliveries.ts';

export interface DeliveryJson {
  /** The header `webhook-id`. */
  id: string;
  status: Delivery['status'];
  created_at: string;
  next_attempt_at: string | null;
  delivered_at: string | null;
  /** Oldest first. */
  attempts: {
    started_at: string;
    seconds: number;
    /** What the receiver answered; null without an answer. */
    status: number | null;
    /** Null: it was received. */
    error: string | null;
  }[];
}

export function deliveryJson({ id, status, attempts, ...times }: Delivery): DeliveryJson {
  return {
    id,
    status,
    created_at: times.createdAt.toISOString(),
    next_attempt_at: times.nextAttemptAt?.toISOString() ?? null,
    delivered_at: times.deliveredAt?.toISOString() ?? null,
    attempts: attempts.map(({ startedAt, ...rest }) => ({
      started_at: startedAt.toISOString(),
      seconds: rest.seconds,
      status: rest.status,
      error: rest.error,
    })),
  };
}
