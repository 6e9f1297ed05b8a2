import { expect, test } from 'vitest';
import { openCv } from './opencv.ts';

const before = [process.listenerCount('uncaughtException'), process.listenerCount('unhandledRejection')];
const cv = await openCv();

test('loading it leaves the process as it was', async () => {
  expect([process.listenerCount('uncaughtException'), process.listenerCount('unhandledRejection')]).toEqual(before);
  expect(await openCv()).toBe(cv);
});

test('resize', () => {
  const image = { width: 7, height: 5, channels: 38, data: new Float32Array(7 * 5 * 38).map((_, i) => i % 11) };
  const out = cv.resizeBy(image, 2.3, 'cubic');
  expect([out.width, out.height, out.channels, out.data.length]).toEqual([16, 12, 38, 16 * 12 * 38]);
  const b = { width: 7, height: 5, channels: 3, data: new Uint8Array(105).fill(9) };
  cv.line(b, { x: 0, y: 0 }, { x: 6, y: 4 }, [1, 2, 3]);
  cv.circle(b, { x: 3, y: 2 }, 1, [1, 2, 3]);
  cv.fillConvexPolygon(b, cv.ellipsePolygon({ x: 3, y: 2 }, { x: 2, y: 1 }, 20, 0, 360, 30), [7, 7, 7]);
  cv.fillPolygon(
    b,
    [
      { x: 3, y: 2 },
      { x: 6, y: 1 },
      { x: 2, y: 0 },
    ],
    [7, 7, 8],
  );
  console.log([...b.data].join());
  expect(
    cv.dilate(b, [
      [0, 1, 0],
      [0, 1, 0],
      [0, 1, 0],
    ]).data.length,
  ).toBe(105);
  console.log(cv.warpAffine(b, [1, 0, 0.5, 0, 1, 0], 7, 5).data.join());
  console.log(cv.gaussianBlur(b, 3, { kernelSize: 25, border: 'reflect' }).data.join());
  console.log(cv.sobel(image, 1, 0).data.length, cv.blend(b, b, 0.4).data.join() === b.data.join());
  expect(() => cv.resize(b, 0, 3, 'area')).toThrow('OpenCV failed');
});
