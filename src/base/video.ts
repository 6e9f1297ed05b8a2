import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import type * as H264 from 'h264-mp4-encoder';
import { withoutItsListeners } from './foreign-listeners.ts';
import type { RgbImage } from './image.ts';
import { readH264, writeMp4 } from './mp4.ts';

/** The same as x264's constant quantizer in the published models; the difference is hardly seen. */
const quantizer = 17;

/**
 * A film without sound: H.264 with 4:2:0 chroma in MP4, its index in front. The same frames give the same bytes.
 *
 * @param frames all of one size, with even sides; taken one by one as they are encoded
 * @param millisecondsPerFrame for which each is shown
 * @throws RangeError when there are none, or their sizes do not fit
 */
export async function encodeVideo(
  frames: AsyncIterable<RgbImage> | Iterable<RgbImage>,
  millisecondsPerFrame: number,
): Promise<Uint8Array> {
  library ??= withoutItsListeners(() => createRequire(import.meta.url)('h264-mp4-encoder') as typeof H264);
  const encoder = await library.createH264MP4Encoder();
  // All encoders share one file system.
  encoder.outputFilename = `${randomUUID()}.mp4`;
  const { FS: files, outputFilename: path } = encoder;
  let size: Size | undefined;
  let file: Uint8Array | undefined;
  try {
    for await (const frame of frames) {
      size ??= start(encoder, frame);
      if (frame.width !== size.width || frame.height !== size.height) {
        throw new RangeError(
          `A frame of ${frame.width} × ${frame.height} follows one of ${size.width} × ${size.height}.`,
        );
      }
      encoder.addFrameYuv(toYuv(frame));
    }
  } finally {
    // Deleted unfinished it would end the library for the whole process.
    if (size) encoder.finalize();
    encoder.delete();
    if (size) file = take(files, path);
  }
  if (!size || !file) throw new RangeError('A film has at least one frame.');
  // The encoder's own file has its index behind the pictures, whole frames a second alone, the time of day in it, and
  // does not say which pictures are key pictures.
  return writeMp4({ ...size, ...readH264(file), sampleDuration: millisecondsPerFrame });
}

interface Size {
  width: number;
  height: number;
}

/** The file's bytes; it is gone from there afterwards. */
function take(files: typeof H264.FS, path: string): Uint8Array {
  const bytes = files.readFile(path);
  files.unlink(path);
  return bytes;
}

/** Loaded at first use: a megabyte. */
let library: typeof H264 | undefined;

function start(encoder: H264.H264MP4Encoder, { width, height }: RgbImage): Size {
  // What it does not like would end the library for the whole process.
  const fits = [width, height].every((side) => side % 2 === 0 && side >= 2 && side <= largestSide);
  if (!fits) {
    throw new RangeError(`A film of ${width} × ${height} cannot be made; both sides are even, up to ${largestSide}.`);
  }
  encoder.width = width;
  encoder.height = height;
  // Of no consequence: each frame is given its time when the file is written again.
  encoder.frameRate = 8;
  encoder.quantizationParameter = quantizer;
  // The slowest and best.
  encoder.speed = 0;
  // One key picture, at the beginning.
  encoder.groupOfPictures = 250;
  encoder.initialize();
  return { width, height };
}

/** More would need memory that WebAssembly may not have; no model here comes near it. */
const largestSide = 2048;

/**
 * Planes of luma and of chroma at half the size: BT.601, section 2.5, luma from 16 to 235 and chroma from 16 to 240. The
 * encoder's own conversion from RGB makes red and blue darker by more than one of 255 on average.
 */
function toYuv({ width, height, data }: RgbImage): Uint8Array {
  const area = width * height;
  const yuv = new Uint8Array(area * 1.5);
  for (let pixel = 0; pixel < area; pixel++) {
    const [red, green, blue] = [data[3 * pixel]!, data[3 * pixel + 1]!, data[3 * pixel + 2]!];
    yuv[pixel] = Math.round(16 + (65.481 * red + 128.553 * green + 24.966 * blue) / 255);
  }
  let chroma = area;
  for (let y = 0; y < height; y += 2) {
    for (let x = 0; x < width; x += 2) {
      const first = 3 * (y * width + x);
      const second = first + 3 * width;
      const mean = (channel: number): number =>
        (data[first + channel]! + data[first + channel + 3]! + data[second + channel]! + data[second + channel + 3]!) /
        4;
      const [red, green, blue] = [mean(0), mean(1), mean(2)];
      yuv[chroma] = Math.round(128 + (-37.797 * red - 74.203 * green + 112 * blue) / 255);
      yuv[chroma + area / 4] = Math.round(128 + (112 * red - 93.786 * green - 18.214 * blue) / 255);
      chroma++;
    }
  }
  return yuv;
}
