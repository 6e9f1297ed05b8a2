import { setMaxListeners } from 'node:events';
import type { Logger } from '../base/log.ts';
import { newMessageId } from './outbox.ts';
import type { Post } from './post.ts';
import { mostPerHost, type WebhookTiming } from './timing.ts';
import { hostOf, type Webhook, type WebhookEvent } from './webhook.ts';

/** Something that happens while a prediction runs. */
export interface Happening {
  predictionId: string;
  account: string;
  webhook: Webhook;
  event: Exclude<WebhookEvent, 'completed'>;
  /** The prediction as it stands then; made only when it is sent. */
  body(): string;
}

/** Tells receivers what happens before the end: once, without a second try, and written down nowhere. */
export interface Interim {
  tell(happening: Happening): void;
  /** The prediction has ended, or is about to: what was to be told of it is old now. */
  drop(predictionId: string): void;
  close(): Promise<void>;
}

/** What is told of one prediction. */
interface Line {
  /** The latest of what `throttleMs` holds back. */
  waiting: Happening | undefined;
  timer: NodeJS.Timeout | undefined;
  /** When the next may go, on the clock of `performance.now`. */
  freeAt: number;
  /** One at a time, so that they arrive in order; meanwhile later ones replace each other. */
  sending: Promise<void> | undefined;
  stop: AbortController;
}

export function createInterim(post: Post, timing: WebhookTiming, log: Logger): Interim {
  const lines = new Map<string, Line>();
  const underWay = new Set<Promise<void>>();
  /** By account and host: how many are under way. */
  const perReceiver = new Map<string, number>();
  const closing = new AbortController();
  setMaxListeners(0, closing.signal);
  closing.signal.addEventListener('abort', () => {
    for (const id of [...lines.keys()]) drop(id);
  });

  const send = async (happening: Happening, signal: AbortSignal): Promise<void> => {
    const { predictionId: prediction, account, webhook, event } = happening;
    const receiver = `${account} ${hostOf(webhook)}`;
    const busy = perReceiver.get(receiver) ?? 0;
    // Nothing piles up before a receiver that hangs: what has to arrive comes at the end.
    if (busy >= mostPerHost) return;
    perReceiver.set(receiver, busy + 1);
    try {
      const { error } = await post({ id: newMessageId(), account, webhook, body: happening.body() }, signal);
      if (error !== undefined) log.debug({ prediction, event, error }, 'a webhook was not received');
    } catch (error) {
      if (!signal.aborted) log.warn({ prediction, event, error: (error as Error).message }, 'a webhook was not sent');
    } finally {
      if (perReceiver.get(receiver) === 1) perReceiver.delete(receiver);
      else perReceiver.set(receiver, perReceiver.get(receiver)! - 1);
    }
  };

  const start = (line: Line, happening: Happening, signal: AbortSignal): void => {
    const sending = send(happening, signal).finally(() => {
      underWay.delete(sending);
      if (line.sending !== sending) return;
      line.sending = undefined;
      schedule(line);
    });
    line.sending = sending;
    underWay.add(sending);
  };

  const schedule = (line: Line): void => {
    if (!line.waiting || line.sending || line.timer) return;
    line.timer = setTimeout(
      () => {
        line.timer = undefined;
        const happening = line.waiting!;
        line.waiting = undefined;
        line.freeAt = performance.now() + timing.throttleMs;
        start(line, happening, line.stop.signal);
      },
      Math.max(0, line.freeAt - performance.now()),
    );
  };

  const drop = (predictionId: string): void => {
    const line = lines.get(predictionId);
    if (!line) return;
    lines.delete(predictionId);
    clearTimeout(line.timer);
    line.waiting = undefined;
    line.stop.abort();
  };

  return {
    tell(happening) {
      if (closing.signal.aborted) return;
      const { predictionId } = happening;
      const line = lines.get(predictionId) ?? newLine();
      lines.set(predictionId, line);
      if (happening.event === 'start') {
        // Not stopped by the end of the prediction: of a short one it is all that is told before.
        start(line, happening, closing.signal);
      } else {
        line.waiting = happening;
        schedule(line);
      }
    },
    drop,
    async close() {
      closing.abort();
      await Promise.all(underWay);
    },
  };
}

function newLine(): Line {
  return { waiting: undefined, timer: undefined, freeAt: 0, sending: undefined, stop: new AbortController() };
}
