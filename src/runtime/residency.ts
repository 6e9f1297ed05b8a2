import type { Settings } from '../base/settings.ts';
import type { Network } from '../onnx/model.ts';
import { type OpenSession, openSession, type Session } from './session.ts';

export type { Network };

/** The only way to a loaded network: what is loaded is used inside a function and can be let go afterwards. */
export interface Residency {
  /** Loads the network unless it is loaded, and keeps it loaded while `work` runs. */
  use<Result>(network: Network, work: (session: Session) => Promise<Result>): Promise<Result>;
  /** Releases everything, once the work under way is done. */
  close(): Promise<void>;
}

export interface ResidencyEvent {
  type: 'loaded' | 'released';
  key: string;
  /** Building and opening, or releasing. */
  milliseconds: number;
}

export interface ResidencyOptions {
  device: Settings['device'];
  /** Networks kept loaded while nobody uses them; the least recently used goes first. */
  idleLimit?: number;
  onEvent?: (event: ResidencyEvent) => void;
}

interface Resident {
  key: string;
  session: Promise<OpenSession>;
  users: number;
}

export function createResidency({ device, idleLimit = 4, onEvent }: ResidencyOptions): Residency {
  /** In the order of last use. */
  const residents = new Map<string, Resident>();
  const underway = new Set<Promise<unknown>>();
  let closed = false;

  function load(network: Network): Resident {
    const resident: Resident = { key: network.key, users: 0, session: open(network) };
    resident.session.catch(() => {
      if (residents.get(network.key) === resident) residents.delete(network.key);
    });
    return resident;
  }

  async function open(network: Network): Promise<OpenSession> {
    const started = performance.now();
    const session = await openSession(await network.build(), device);
    onEvent?.({ type: 'loaded', key: network.key, milliseconds: performance.now() - started });
    return session;
  }

  async function release(resident: Resident): Promise<void> {
    residents.delete(resident.key);
    const started = performance.now();
    await (await resident.session).close();
    onEvent?.({ type: 'released', key: resident.key, milliseconds: performance.now() - started });
  }

  async function releaseBeyond(limit: number): Promise<void> {
    const idle = [...residents.values()].filter((resident) => resident.users === 0);
    for (const resident of idle.slice(0, Math.max(0, idle.length - limit))) await release(resident);
  }

  async function useNow<Result>(network: Network, work: (session: Session) => Promise<Result>): Promise<Result> {
    const resident = residents.get(network.key) ?? load(network);
    residents.set(network.key, resident);
    resident.users++;
    try {
      return await work(await resident.session);
    } finally {
      resident.users--;
      // To the end of the order, unless it could not be loaded.
      if (residents.get(network.key) === resident) {
        residents.delete(network.key);
        residents.set(network.key, resident);
      }
      await releaseBeyond(closed ? 0 : idleLimit);
    }
  }

  return {
    async use(network, work) {
      if (closed) throw new Error('This residency is closed.');
      const use = useNow(network, work);
      underway.add(use);
      try {
        return await use;
      } finally {
        underway.delete(use);
      }
    },
    async close() {
      closed = true;
      await Promise.allSettled(underway);
      await releaseBeyond(0);
    },
  };
}
