import { RuntimeFailure } from '../base/errors.ts';
import type { Settings } from '../base/settings.ts';
import type { MemoryNeed } from '../onnx/memory.ts';
import type { Network } from '../onnx/model.ts';
import { type OpenSession, openSession, type Session } from './session.ts';

export type { Network };

/** The only way to a loaded network: what is loaded is used inside a function and can be let go afterwards. */
export interface Residency {
  /**
   * Loads the network unless it is loaded, and keeps it loaded while `work` runs. Others are released before, those that
   * nobody uses and that were used longest ago, when it would not fit beside them.
   *
   * @param onEvent hears what this use loads and releases
   */
  use<Result>(
    network: Network,
    work: (session: Session) => Promise<Result>,
    onEvent?: (event: ResidencyEvent) => void,
  ): Promise<Result>;
  /** Whether the network would be within the budget, were it alone. It is not loaded for that. */
  fits(network: Network): Promise<boolean>;
  /** Releases everything, once the work under way is done. */
  close(): Promise<void>;
}

export interface ResidencyEvent {
  type: 'loaded' | 'released';
  key: string;
  memory: MemoryNeed;
  /** Building and opening, or releasing. */
  milliseconds: number;
}

type Listener = (event: ResidencyEvent) => void;

export interface ResidencyOptions {
  device: Settings['device'];
  /** Bytes that loaded networks take together. One network alone is loaded whatever it takes. */
  budget?: number;
  /** Networks kept loaded while nobody uses them; the least recently used goes first. */
  idleLimit?: number;
  /** Hears everything that is loaded and released. */
  onEvent?: Listener;
}

interface Resident {
  key: string;
  session: Promise<OpenSession>;
  users: number;
  /** Known once the graph is built. */
  memory: MemoryNeed;
}

/**
 * More than one prediction takes turns with: with fewer, each would find what it needs first released by the one before.
 * instant-id with all its ControlNets has ten.
 */
const usualIdleLimit = 24;

export function createResidency({
  device,
  budget = Number.POSITIVE_INFINITY,
  idleLimit = usualIdleLimit,
  onEvent = () => {},
}: ResidencyOptions): Residency {
  /** In the order of last use. */
  const residents = new Map<string, Resident>();
  const underway = new Set<Promise<unknown>>();
  let closed = false;

  function load(network: Network, tell: Listener): Resident {
    const resident: Resident = {
      key: network.key,
      users: 0,
      memory: { weights: 0, working: 0 },
      // Not before the caller counts as its user.
      session: Promise.resolve().then(() => open(network, resident, tell)),
    };
    resident.session.catch(() => {
      if (residents.get(network.key) === resident) residents.delete(network.key);
    });
    return resident;
  }

  async function open(network: Network, resident: Resident, tell: Listener): Promise<OpenSession> {
    const started = performance.now();
    const model = await network.build();
    const built = performance.now();
    resident.memory = model.memory;
    await makeRoom(tell);
    const opening = performance.now();
    const session = await withRoom(() => openSession(model, device), tell);
    const milliseconds = built - started + (performance.now() - opening);
    tell({ type: 'loaded', key: network.key, memory: model.memory, milliseconds });
    return session;
  }

  /** The budget is an estimate, and of a device's own memory a guess: where that is full all the same, idle networks go. */
  async function withRoom<Result>(attempt: () => Promise<Result>, tell: Listener): Promise<Result> {
    try {
      return await attempt();
    } catch (error) {
      if (!isOutOfMemory(error) || idle().length === 0) throw error;
      await releaseBeyond(0, tell);
      return await attempt();
    }
  }

  async function release(resident: Resident, tell: Listener): Promise<void> {
    // Somebody may have come for it, or released it, while the one before it went.
    if (resident.users > 0 || residents.get(resident.key) !== resident) return;
    residents.delete(resident.key);
    const started = performance.now();
    await (await resident.session).close();
    const milliseconds = performance.now() - started;
    tell({ type: 'released', key: resident.key, memory: resident.memory, milliseconds });
  }

  const idle = (): Resident[] => [...residents.values()].filter(({ users }) => users === 0);

  async function makeRoom(tell: Listener): Promise<void> {
    for (const resident of idle()) {
      if (bytesOf([...residents.values()]) <= budget) return;
      await release(resident, tell);
    }
  }

  async function releaseBeyond(limit: number, tell: Listener): Promise<void> {
    const resting = idle();
    for (const resident of resting.slice(0, Math.max(0, resting.length - limit))) await release(resident, tell);
  }

  async function useNow<Result>(
    network: Network,
    work: (session: Session) => Promise<Result>,
    tell: Listener,
  ): Promise<Result> {
    const resident = residents.get(network.key) ?? load(network, tell);
    residents.set(network.key, resident);
    resident.users++;
    try {
      const session = await resident.session;
      return await work({ ...session, run: (feeds) => withRoom(() => session.run(feeds), tell) });
    } finally {
      resident.users--;
      // To the end of the order, unless it could not be loaded.
      if (residents.get(network.key) === resident) {
        residents.delete(network.key);
        residents.set(network.key, resident);
      }
      await releaseBeyond(closed ? 0 : idleLimit, tell);
    }
  }

  return {
    async use(network, work, onOwnEvent = () => {}) {
      if (closed) throw new Error('This residency is closed.');
      const use = useNow(network, work, (event) => {
        onEvent(event);
        onOwnEvent(event);
      });
      underway.add(use);
      try {
        return await use;
      } finally {
        underway.delete(use);
      }
    },
    async fits(network) {
      const { memory } = await network.build();
      return bytesOf([{ memory }]) <= budget;
    },
    async close() {
      closed = true;
      await Promise.allSettled(underway);
      await releaseBeyond(0, onEvent);
    },
  };
}

/** What the arena takes for values, measured: 1.3 to 1.5 times what they are. */
const arenaFactor = 1.5;

function bytesOf(residents: readonly Pick<Resident, 'memory'>[]): number {
  return residents.reduce((sum, { memory }) => sum + memory.weights + arenaFactor * memory.working, 0);
}

function isOutOfMemory(error: unknown): boolean {
  return error instanceof RuntimeFailure && /alloc|out of memory/i.test(error.message);
}
