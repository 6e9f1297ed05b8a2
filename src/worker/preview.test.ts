import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { waitUntil } from '../../test/support/wait-until.ts';
import type { RgbImage } from '../base/image.ts';
import { createPreviews } from './preview.ts';
import type { EngineMessage } from './protocol.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

function setUp() {
  const sent: EngineMessage[] = [];
  let drawn = 0;
  const previews = createPreviews((message) => sent.push(message));
  const show = (id: string, picture: RgbImage = noise(4, 3)) =>
    previews.show(id, () => {
      drawn++;
      return picture;
    });
  return { previews, sent, show, drawn: () => drawn };
}

/** The worst that there is to compress. */
function noise(width: number, height: number): RgbImage {
  let state = 1;
  const next = () => {
    state = (state * 48_271) % 2_147_483_647;
    return state;
  };
  return { width, height, channels: 3, data: Uint8Array.from({ length: width * height * 3 }, next) };
}

test('draws for those who watch, now and then, until they watch no more', () => {
  const { previews, show, drawn } = setUp();
  show('a');
  expect(drawn()).toBe(0);
  previews.watch('a');
  show('b');
  expect(drawn()).toBe(0);
  show('a');
  show('a');
  vi.advanceTimersByTime(399);
  show('a');
  expect(drawn()).toBe(1);
  vi.advanceTimersByTime(1);
  show('a');
  expect(drawn()).toBe(2);
  vi.advanceTimersByTime(5_000);
  show('a');
  expect(drawn()).toBe(2);
});

test.each([
  [64, 64, 64, 64],
  [96, 128, 48, 64],
  [40, 3, 40, 3],
])('%i × %i pixels of noise fit into a message', async (width, height) => {
  const { previews, show, sent } = setUp();
  previews.watch('a');
  show('a', noise(width, height));
  await waitUntil('it is sent', () => sent.length > 0);
  const { type, picture } = sent[0] as EngineMessage & { type: 'preview' };
  expect(type).toBe('preview');
  expect(picture).toMatch(/^data:image\/webp;base64,[A-Za-z0-9+/=]+$/);
  expect(picture.length).toBeLessThan(7_900);
});
