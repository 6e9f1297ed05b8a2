import type { RgbImage } from '../base/image.ts';
import { thumbnail } from '../base/thumbnail.ts';
import type { EngineMessage } from './protocol.ts';

/** How long somebody counts as watching after it was said. */
const watchedMs = 3_000;
/** Between two previews. */
const pauseMs = 400;

/** Pictures of a prediction that is not finished, for those who watch it; drawn only when there are any. */
export interface Previews {
  /** Somebody watches the prediction; said again and again while it is so. */
  watch(id: string): void;
  show(id: string, draw: () => RgbImage): void;
}

export function createPreviews(send: (message: EngineMessage) => void): Previews {
  let watched = { id: '', until: 0 };
  let nextAt = 0;
  return {
    watch(id) {
      watched = { id, until: performance.now() + watchedMs };
    },
    show(id, draw) {
      const now = performance.now();
      if (watched.id !== id || now > watched.until || now < nextAt) return;
      nextAt = now + pauseMs;
      thumbnail(draw()).then(
        (picture) => send({ type: 'preview', id, picture }),
        (error: Error) => process.stderr.write(`no preview: ${error.message}\n`),
      );
    },
  };
}
