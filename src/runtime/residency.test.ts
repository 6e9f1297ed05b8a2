import { expect, test } from 'vitest';
import { float32 } from '../math/tensor.ts';
import { createGraph } from '../onnx/graph.ts';
import { scale } from '../onnx/ops.ts';
import { writeModel } from '../onnx/write.ts';
import { createResidency, type Network, type ResidencyEvent } from './residency.ts';

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

test('work that fails gives its network back', async () => {
  const { use, close, events } = residency(0);
  await expect(use(times(2), () => Promise.reject(new Error('work failed')))).rejects.toThrow('work failed');
  expect(events).toEqual(['loaded times 2', 'released times 2']);
  await close();
});

test('closing waits for the work under way, and then nothing can be used', async () => {
  const { use, close, events } = residency(4);
  let finish = (): void => {};
  const work = use(times(2), () => new Promise<void>((resolve) => (finish = resolve)));
  const closing = close();
  await expect(use(times(2), run)).rejects.toThrow(/closed/);
  await expect.poll(() => events).toEqual(['loaded times 2']);
  finish();
  await Promise.all([work, closing]);
  expect(events).toEqual(['loaded times 2', 'released times 2']);
});
