import sharp, { type Sharp } from 'sharp';
import { InputError } from './errors.ts';

/** A picture in sRGB: rows from top to bottom, three bytes a pixel. */
export interface RgbImage {
  width: number;
  height: number;
  channels: 3;
  data: Uint8Array;
}

/** A picture of more pixels is refused from its header. A decoded one takes up to 200 MB while it is read. */
export const largestPixelCount = 50_000_000;

// Only these loaders exist from here on. Others run programs (PDF, ImageMagick), read other files (SVG), or are not
// tested against hostile input; libvips picks a loader by the bytes of the file, never by its name.
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({
  operation: ['Jpeg', 'Png', 'Webp', 'Nsgif', 'Heif', 'Tiff'].map((format) => `VipsForeignLoad${format}`),
});
// The cache goes by path, and would answer with the old picture when a file is replaced.
sharp.cache(false);

const acceptedFormats = 'JPEG, PNG, WebP, GIF, AVIF or TIFF';

/**
 * Reads a picture as a viewer shows it: upright by its EXIF orientation, converted to sRGB, on white where it is
 * transparent, and the first frame where it is animated.
 *
 * @param field the input that named the file, for the error
 * @throws InputError when the file is not a readable picture, is damaged or is too large
 */
export async function readImage(path: string, field = 'image'): Promise<RgbImage> {
  const { width, height } = await readSize(path, field);
  if (width * height > largestPixelCount) {
    throw new InputError(
      `${field} has ${width} × ${height} pixels, more than the ${largestPixelCount / 1e6} million that are accepted; ` +
        'send a smaller picture.',
      field,
    );
  }
  try {
    const { data, info } = await open(path)
      .autoOrient()
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    return { width: info.width, height: info.height, channels: 3, data: onWhite(data, info.channels) };
  } catch (error) {
    throw new InputError(
      `${field} is damaged or incomplete and cannot be read; save or upload it again. (${reason(error)})`,
      field,
    );
  }
}

async function readSize(path: string, field: string): Promise<{ width: number; height: number }> {
  try {
    return await open(path).metadata();
  } catch (error) {
    throw new InputError(
      `${field} is not a picture that can be read; send ${acceptedFormats}. (${reason(error)})`,
      field,
    );
  }
}

function open(path: string): Sharp {
  // Warnings are common in pictures that every viewer shows. The limit is checked above, with a better message.
  return sharp(path, { failOn: 'error', limitInputPixels: false, pages: 1 });
}

/** libvips reports one line for each of its layers; the last one is the closest to the file. */
function reason(error: unknown): string {
  const lines = (error instanceof Error ? error.message : String(error)).trim().split('\n');
  return lines.at(-1)!.trim();
}

/**
 * Grey becomes three equal channels, and transparency becomes white as in `HWC3` of
 * https://github.com/lllyasviel/ControlNet/blob/ed85cd1e25a5/annotator/util.py#L9-L26, including its float32 rounding.
 */
function onWhite(pixels: Buffer, channels: number): Uint8Array {
  // A plain array and not a Buffer, whose `slice` would share its bytes.
  if (channels === 3) return new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.length);
  const hasAlpha = channels === 2 || channels === 4;
  const colours = channels < 3 ? 1 : 3;
  const count = pixels.length / channels;
  const rgb = new Uint8Array(count * 3);
  for (let pixel = 0; pixel < count; pixel++) {
    const start = pixel * channels;
    const alpha = hasAlpha ? pixels[start + channels - 1]! : 255;
    for (let channel = 0; channel < 3; channel++) {
      const value = pixels[start + Math.min(channel, colours - 1)]!;
      rgb[pixel * 3 + channel] = alpha === 255 ? value : blendOnWhite(value, alpha);
    }
  }
  return rgb;
}

export function blendOnWhite(value: number, alpha: number): number {
  const share = Math.fround(alpha / 255);
  const white = Math.fround(255 * Math.fround(1 - share));
  return Math.trunc(Math.min(255, Math.fround(Math.fround(value * share) + white)));
}

/** The same pixels give the same bytes, on the same version of sharp. */
export async function encodePng(image: RgbImage): Promise<Uint8Array> {
  const { width, height, channels } = image;
  return sharp(image.data, { raw: { width, height, channels }, limitInputPixels: false })
    .png({ compressionLevel: 6, adaptiveFiltering: false, palette: false })
    .toBuffer();
}
