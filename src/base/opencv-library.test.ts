import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { openCv } from './opencv.ts';
import { openLibrary } from './opencv-library.ts';

function grey(width: number, height: number) {
  return { width, height, channels: 1, data: new Uint8Array(width * height) };
}

test('loading it leaves the process as it was, and happens once', async () => {
  const listeners = () => [process.listenerCount('uncaughtException'), process.listenerCount('unhandledRejection')];
  const before = listeners();
  const [first, second] = await Promise.all([openLibrary(), openLibrary()]);
  expect(second).toBe(first);
  expect(listeners()).toEqual(before);
});

test('memory is freed after work and after failures', async () => {
  const library = await openLibrary();
  const cv = await openCv();
  // 250 MB each; the library has 1 GB.
  for (let round = 0; round < 5; round++) {
    cv.resize(grey(25_000, 5_000), 25_000, 5_000, 'nearest');
    expect(() => cv.resize(grey(25_000, 5_000), 0, 1, 'nearest')).toThrow('OpenCV failed');
  }
  expect(library.HEAP8.length).toBeLessThan(600_000_000);
});

test('a large picture does not keep its memory for ever', async () => {
  const before = await openLibrary();
  const cv = await openCv();
  cv.resize(grey(25_000, 12_000), 1, 1, 'nearest');
  expect(before.HEAP8.length).toBeGreaterThan(300_000_000);
  const after = await openLibrary();
  expect(after.HEAP8.length).toBeLessThan(200_000_000);
  expect(cv.resize(grey(4, 2), 2, 1, 'area').data).toHaveLength(2);
});

test('a picture that is too large is a failure that says so, and the next one succeeds', async () => {
  const cv = await openCv();
  expect(() => cv.resize(grey(10, 10), 40_000, 40_000, 'nearest')).toThrow(/OpenCV failed: .*smaller picture/);
  expect((await openCv()).resize(grey(4, 2), 2, 1, 'area').data).toHaveLength(2);
});

test('works compiled, in a worker thread', async () => {
  const path = fileURLToPath(new URL('../../dist/base/opencv.js', import.meta.url));
  const worker = new Worker(
    `import(${JSON.stringify(path)}).then(async ({ openCv }) => {
      const cv = await openCv();
      const image = { width: 2, height: 2, channels: 1, data: Uint8Array.of(10, 20, 30, 40) };
      require('node:worker_threads').parentPort.postMessage(cv.resize(image, 1, 1, 'area').data);
    });`,
    { eval: true },
  );
  const result = await new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject));
  expect(result).toEqual(Uint8Array.of(25));
  await worker.terminate();
});
