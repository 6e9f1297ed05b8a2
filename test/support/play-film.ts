import type { Page } from 'playwright-core';

export interface PlayedFilm {
  width: number;
  height: number;
  duration: number;
  /** Where it stood when it said that it had ended. */
  endedAt: number;
  /** Start and end of each stretch that was played and not jumped over. */
  played: [number, number][];
}

/** Plays a film in the page, from its beginning to its end. @param source its address */
export function playFilm(page: Page, source: string): Promise<PlayedFilm> {
  // As text, since nothing but this code knows a document.
  return page.evaluate(`(async () => {
    document.body.innerHTML = '<video muted></video><canvas></canvas>';
    const video = document.querySelector('video');
    const ended = new Promise((resolve, reject) => {
      video.onended = resolve;
      video.onerror = () => reject(new Error(video.error.message));
    });
    video.src = ${JSON.stringify(source)};
    await video.play();
    await ended;
    const { videoWidth: width, videoHeight: height, duration, currentTime: endedAt } = video;
    const played = Array.from(video.played, (_, index) => [video.played.start(index), video.played.end(index)]);
    return { width, height, duration, endedAt, played };
  })()`);
}

/** A PNG of what a film that was played shows at a time; another picture than the one that it shows already. */
export async function pictureAt(page: Page, seconds: number): Promise<Buffer> {
  const url: string = await page.evaluate(`(async () => {
    const video = document.querySelector('video');
    const canvas = document.querySelector('canvas');
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    const draw = () => {
      canvas.getContext('2d', { alpha: false }).drawImage(video, 0, 0);
      return canvas.toDataURL('image/png');
    };
    const before = draw();
    await new Promise((resolve) => {
      video.onseeked = resolve;
      video.currentTime = ${seconds};
    });
    // The seek may be over before its picture is there to be drawn.
    for (;;) {
      const picture = draw();
      if (picture !== before) return picture;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  })()`);
  return Buffer.from(url.slice(url.indexOf(',') + 1), 'base64');
}
