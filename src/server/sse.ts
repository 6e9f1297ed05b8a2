/** Server-sent events, in the form that every known client reads: line feeds alone, an id with every event. */
import { Readable } from 'node:stream';

export interface ServerSentEvent {
  name: string;
  /** Where a reader who comes back goes on; events without one do not move that place. */
  id?: string;
  data: string;
}

export interface EventStream {
  /** The bytes; at their end, and when the reader is gone, `onClose` was called. */
  readable: Readable;
  /** There may be a next event. */
  wake(): void;
  /** Ends without another event. */
  end(): void;
}

export interface EventStreamOptions {
  /** The next event, when there is one; `end` when there will be no more. Asked only while the reader keeps up. */
  next(): ServerSentEvent | 'end' | undefined;
  onClose(): void;
  /** The Python client gives up after 30 seconds of silence. */
  heartbeatMs: number;
}

/** How long browsers wait before they connect again. */
const retryMs = 1_000;
/** What is made ahead for one reader, bytes. */
const bufferBytes = 16_384;
/**
 * A comment without a blank line after it: some clients take that line for the end of an event without a name, and
 * forget where they were.
 */
const heartbeat = ': still here\n';

export function openEventStream({ next, onClose, heartbeatMs }: EventStreamOptions): EventStream {
  let isWanted = false;
  let isOver = false;
  const finish = (): void => {
    if (isOver) return;
    isOver = true;
    readable.push(null);
  };
  const pump = (): void => {
    while (isWanted && !isOver) {
      const event = next();
      if (event === undefined) return;
      if (event === 'end') finish();
      else isWanted = readable.push(formatEvent(event));
    }
  };
  const readable = new Readable({
    highWaterMark: bufferBytes,
    read() {
      isWanted = true;
      pump();
    },
    destroy(error, done) {
      isOver = true;
      clearInterval(timer);
      onClose();
      done(error);
    },
  });
  const timer = setInterval(() => {
    if (isWanted && !isOver) isWanted = readable.push(heartbeat);
  }, heartbeatMs);
  // At once, so that the reader knows that it is connected.
  readable.push(`retry: ${retryMs}\n${heartbeat}`);
  return { readable, wake: pump, end: finish };
}

/** Every line of the data stands behind a `data:` of its own; a carriage return alone would end a line too. */
export function formatEvent({ name, id, data }: ServerSentEvent): string {
  const lines = data.split(/\r\n|\r|\n/).map((line) => `data: ${line}\n`);
  return `event: ${name}\n${id === undefined ? '' : `id: ${id}\n`}${lines.join('')}\n`;
}
