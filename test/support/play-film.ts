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

/**
 * A PNG of one picture of a film that was played, other than the one that is seen.
 *
 * @param frame from 0
 * @param frameSeconds for how long each is shown
 */
export async function pictureOf(page: Page, frame: number, frameSeconds: number): Promise<Buffer> {
  // A seek is over before its picture is there to be drawn: what is shown says itself since when it is.
  const url: string = await page.evaluate(`(async () => {
    const video = document.querySelector('video');
    video.currentTime = ${frameSeconds * (frame + 0.5)};
    const shown = () => new Promise((resolve) => video.requestVideoFrameCallback((_, { mediaTime }) => resolve(mediaTime)));
    while (Math.abs((await shown()) - ${frameSeconds * frame}) > ${frameSeconds / 2});
    const canvas = document.querySelector('canvas');
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    canvas.getContext('2d', { alpha: false }).drawImage(video, 0, 0);
    return canvas.toDataURL('image/png');
  })()`);
  return Buffer.from(url.slice(url.indexOf(',') + 1), 'base64');
}
