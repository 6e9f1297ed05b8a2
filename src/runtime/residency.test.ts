import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { collectGarbage } from '../../test/support/collect-garbage.ts';
import { waitUntil } from '../../test/support/wait-until.ts';
import { float32 } from '../math/tensor.ts';
import { createGraph } from '../onnx/graph.ts';
import { add, concat, reshape, scale, silu, slice } from '../onnx/ops.ts';
import { product } from '../onnx/products.ts';
import { writeModel } from '../onnx/write.ts';
import { openWeights } from '../weights/scope.ts';
import { writeSafetensors } from '../weights/write-safetensors.ts';
import { createResidency, type Network, type ResidencyEvent } from './residency.ts';
import type { Session } from './session.ts';

/** Multiplies a number by `factor`. */
function times(factor: number): Network & { built: number } {
  return {
    key: `times ${factor}`,
    built: 0,
    async build() {
      this.built++;
      const g = createGraph('times');
      g.output('y', scale(g, g.input('x', 'float32', [1]), factor));
      return writeModel(g);
    },
  };
}

function residency(idleLimit: number) {
  const events: string[] = [];
  const onEvent = ({ type, key }: ResidencyEvent): void => {
    events.push(`${type} ${key}`);
  };
  return { ...createResidency({ device: 'cpu', idleLimit, onEvent }), events };
}

const run = async (session: { run: (feeds: Record<string, ReturnType<typeof float32>>) => Promise<unknown> }) =>
  await session.run({ x: float32([1], new Float32Array([7])) });

const result = (value: number) => ({ y: float32([1], new Float32Array([value])) });

test('a network is built once, also when two ask for it at once', async () => {
  const { use, close, events } = residency(2);
  const network = times(3);
  expect(await Promise.all([use(network, run), use(times(3), run)])).toEqual([result(21), result(21)]);
  expect(await use(network, run)).toEqual(result(21));
  expect(network.built).toBe(1);
  await close();
  expect(events).toEqual(['loaded times 3', 'released times 3']);
});

test('beyond the limit the least recently used network goes, never one in use', async () => {
  const { use, close, events } = residency(1);
  await use(times(2), async (outer) => {
    await use(times(3), run);
    await use(times(4), run);
    expect(events).toEqual(['loaded times 2', 'loaded times 3', 'loaded times 4', 'released times 3']);
    expect(await run(outer)).toEqual(result(14));
  });
  expect(events.at(-1)).toBe('released times 4');
  await use(times(2), run);
  expect(events).toHaveLength(5);
  await close();
  expect(events.at(-1)).toBe('released times 2');
});

test('a network that cannot be built is tried again the next time', async () => {
  const { use, close } = residency(1);
  const network = times(5);
  const broken = { key: network.key, build: () => Promise.reject(new Error('no such file')) };
  await expect(use(broken, run)).rejects.toThrow('no such file');
  expect(await use(network, run)).toEqual(result(35));
  await close();
});

test('whether a network fits the budget is known without loading it', async () => {
  const network = times(6);
  for (const [budget, fits] of [
    [5, false],
    [6, true],
    [undefined, true],
  ] as const) {
    const events: string[] = [];
    const { fits: asked, close } = createResidency({
      device: 'cpu',
      ...(budget !== undefined && { budget }),
      onEvent: ({ type }) => events.push(type),
    });
    // A float32, and half as much again for the arena.
    expect(await asked(network), String(budget)).toBe(fits);
    await close();
    expect(events).toEqual([]);
  }
});

test('what another use has released and loaded again is left alone', async () => {
  // Two networks of six bytes each.
  const budget = 12;
  for (let turn = 0; turn < 40; turn++) {
    const events: string[] = [];
    const onEvent = ({ type, key }: ResidencyEvent): void => {
      events.push(`${type} ${key}`);
    };
    const { use, close } = createResidency({ device: 'cpu', budget, onEvent });
    await use(times(2), run);
    await use(times(3), run);
    const later = async (turns: number, network: Network): Promise<unknown> => {
      for (let waited = 0; waited < turns; waited++) await Promise.resolve();
      return use(network, run);
    };
    // Each makes room for itself; whoever makes more of it must not take the third for the one that it saw before.
    const used = [use(times(4), run), later(turn % 5, times(5)), later(Math.floor(turn / 5), times(3))];
    expect(await Promise.all(used)).toEqual([result(28), result(35), result(21)]);
    await close();
    for (const factor of [2, 3, 4, 5]) {
      const own = events.filter((event) => event.endsWith(` ${factor}`));
      expect(own).toEqual(own.map((_, index) => `${index % 2 === 0 ? 'loaded' : 'released'} times ${factor}`));
      expect(own.length % 2).toBe(0);
    }
  }
});

test('work that fails gives its network back', async () => {
  const { use, close, events } = residency(0);
  await expect(use(times(2), () => Promise.reject(new Error('work failed')))).rejects.toThrow('work failed');
  expect(events).toEqual(['loaded times 2', 'released times 2']);
  await close();
});

test('closing waits for the work under way, and then nothing can be used', async () => {
  const { use, close, events } = residency(4);
  let finish: (() => void) | undefined;
  const work = use(times(2), () => new Promise<void>((resolve) => (finish = resolve)));
  const closing = close();
  await expect(use(times(2), run)).rejects.toThrow(/closed/);
  const end = await waitUntil('the work has its network', () => finish);
  expect(events).toEqual(['loaded times 2']);
  end();
  await Promise.all([work, closing]);
  expect(events).toEqual(['loaded times 2', 'released times 2']);
});

describe('with a budget', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'residency-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  /** Adds a file of `size` numbers, all alike: takes 4 bytes of weights and 6 to work in for each. */
  async function adding(value: number, size = 1000): Promise<Network> {
    const file = join(folder, `${value}.safetensors`);
    const bytes = new Uint8Array(new Float32Array(size).fill(value).buffer);
    await writeSafetensors(file, new Map([['term', { dtype: 'F32', shape: [size], bytes }]]));
    return {
      key: `add ${value}`,
      async build() {
        const g = createGraph('add');
        const term = g.weight((await openWeights([file])).tensor('term', [size]));
        g.output('y', add(g, term, g.input('x', 'float32', [1])));
        return writeModel(g);
      },
    };
  }

  function budgeted(budget: number) {
    const events: string[] = [];
    const onEvent = ({ type, key, memory }: ResidencyEvent): void => {
      events.push(`${type} ${key}, ${memory.weights}`);
    };
    return { ...createResidency({ device: 'cpu', budget, onEvent }), events };
  }

  const first = async (session: Session): Promise<number> => {
    const { y } = await session.run({ x: float32([1], new Float32Array([7])) });
    return y!.data[0] as number;
  };

  test('what was used longest ago goes before the next is loaded, and comes back when it is wanted', async () => {
    const { use, close, events } = budgeted(25_000);
    const [one, two, three] = [await adding(1), await adding(2), await adding(3)];
    expect([await use(one, first), await use(two, first), await use(one, first)]).toEqual([8, 9, 8]);
    expect(events.splice(0)).toEqual(['loaded add 1, 4000', 'loaded add 2, 4000']);
    const own: string[] = [];
    expect(await use(three, first, ({ type, key }) => own.push(`${type} ${key}`))).toBe(10);
    expect(events.splice(0)).toEqual(['released add 2, 4000', 'loaded add 3, 4000']);
    expect(own).toEqual(['released add 2', 'loaded add 3']);
    expect([await use(two, first), await use(three, first)]).toEqual([9, 10]);
    expect(events.splice(0)).toEqual(['released add 1, 4000', 'loaded add 2, 4000']);
    await close();
    expect(events).toEqual(['released add 2, 4000', 'released add 3, 4000']);
  });

  test('one network alone is loaded whatever it takes, and those in use stay', async () => {
    const { use, close, events } = budgeted(25_000);
    const [one, two, large] = [await adding(1), await adding(2), await adding(4, 50_000)];
    await use(two, first);
    await use(one, async (session) => {
      expect(await use(large, first)).toBe(11);
      expect(await first(session)).toBe(8);
    });
    expect(events).toEqual([
      'loaded add 2, 4000',
      'loaded add 1, 4000',
      'released add 2, 4000',
      'loaded add 4, 200000',
    ]);
    await close();
  });

  test('where memory ends all the same, idle networks go and the work is tried again', async () => {
    const { use, close, events } = budgeted(Number.POSITIVE_INFINITY);
    const side = 2 ** 23;
    const endless: Network = {
      key: 'endless',
      async build() {
        const g = createGraph('endless');
        const column = g.input('column', 'float32', [side, 1]);
        g.output('y', slice(g, product(g, column, g.input('row', 'float32', [1, side])), 0, 0, 1));
        return writeModel(g);
      },
    };
    await use(await adding(1), first);
    const values = new Float32Array(side);
    const work = (session: Session) =>
      session.run({ column: float32([side, 1], values), row: float32([1, side], values) });
    await expect(use(endless, work)).rejects.toThrow(/allocate/);
    expect(events).toEqual(['loaded add 1, 4000', 'loaded endless, 0', 'released add 1, 4000']);
    await close();
  });

  test.runIf(process.platform === 'linux')(
    'a network takes what its values take and leaves nothing behind',
    async () => {
      const privateBytes = (): number =>
        1024 * Number(/RssAnon:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))![1]);
      const size = 2 ** 24;
      const g = createGraph('levels');
      let values = reshape(g, g.input('x', 'float32', [1, size]), [size]);
      // What is planned for a size would be kept from its first use to its last, while the others are computed.
      for (const change of [-1, -1, -1, 1, 1, 1]) {
        for (let step = 0; step < 3; step++) values = silu(g, scale(g, values, 0.5));
        const [length] = values.dims as [number];
        const part = slice(g, values, 0, 0, change < 0 ? length - 1024 : 1024);
        values = change < 0 ? part : concat(g, [values, part], 0);
      }
      g.output('y', slice(g, values, 0, 0, 1));
      const model = writeModel(g);
      const levels: Network = { key: 'levels', build: () => model };
      const { use, close } = budgeted(Number.POSITIVE_INFINITY);
      const x = float32([1, size], new Float32Array(size).fill(3));
      collectGarbage();
      const before = privateBytes();
      const work = async (session: Session) => {
        await session.run({ x });
        const once = privateBytes() - before;
        await session.run({ x });
        return [once, privateBytes() - before] as const;
      };
      const [once, twice] = await use(levels, work);
      expect(once).toBeGreaterThan(0.8 * model.memory.working);
      expect(once).toBeLessThan(1.6 * model.memory.working);
      expect(twice).toBeLessThan(1.25 * once);
      await close();
      expect(privateBytes() - before).toBeLessThan(0.25 * once);
    },
  );
});
