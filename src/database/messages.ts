/** Who listens to which channel, inside this process. */
export interface Listeners {
  add(channel: string, heard: (payload: string) => void): () => void;
  tell(channel: string, payload: string): void;
  channels(): string[];
}

export function createListeners(): Listeners {
  const byChannel = new Map<string, Set<(payload: string) => void>>();
  return {
    add(channel, heard) {
      const set = byChannel.get(channel) ?? new Set();
      byChannel.set(channel, set.add(heard));
      return () => {
        set.delete(heard);
      };
    },
    tell(channel, payload) {
      for (const heard of [...(byChannel.get(channel) ?? [])]) heard(payload);
    },
    channels: () => [...byChannel.keys()],
  };
}
