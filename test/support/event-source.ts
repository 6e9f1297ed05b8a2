/** Server-sent events over `fetch`, read by the rules of the HTML standard (§9.2.6) and no others. */
export interface ReadEvent {
  event: string;
  id: string;
  data: string;
}

export interface EventReader {
  status: number;
  headers: Headers;
  /** The next event; `undefined` at the end of the stream. */
  next(): Promise<ReadEvent | undefined>;
  /** All events up to the end of the stream. */
  rest(): Promise<ReadEvent[]>;
  /** Every byte so far. */
  text(): string;
  /** Hangs up. */
  close(): void;
}

export async function readEvents(url: string, headers: Record<string, string> = {}): Promise<EventReader> {
  const controller = new AbortController();
  const response = await fetch(url, {
    headers: { accept: 'text/event-stream', ...headers },
    signal: controller.signal,
  });
  let text = '';
  const events = parse(response.body ?? new ReadableStream(), (chunk) => {
    text += chunk;
  });
  const next = async (): Promise<ReadEvent | undefined> => {
    const { done, value } = await events.next();
    return done ? undefined : value;
  };
  return {
    status: response.status,
    headers: response.headers,
    next,
    async rest() {
      const all: ReadEvent[] = [];
      for (let event = await next(); event; event = await next()) all.push(event);
      return all;
    },
    text: () => text,
    close: () => controller.abort(),
  };
}

async function* parse(
  body: ReadableStream<Uint8Array>,
  onText: (text: string) => void,
): AsyncGenerator<ReadEvent, void, undefined> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let waiting = '';
  let lastEventId = '';
  let event = '';
  let data: string[] = [];
  for await (const chunk of body) {
    const text = decoder.decode(chunk, { stream: true });
    onText(text);
    const lines = (waiting + text).split(/\r\n|\r|\n/);
    waiting = lines.pop()!;
    for (const line of lines) {
      if (line === '') {
        if (data.length > 0) yield { event: event || 'message', id: lastEventId, data: data.join('\n') };
        event = '';
        data = [];
        continue;
      }
      const [, field, value = ''] = /^([^:]*)(?:: ?(.*))?$/.exec(line)!;
      if (field === 'event') event = value;
      if (field === 'data') data.push(value);
      if (field === 'id') lastEventId = value;
    }
  }
}
