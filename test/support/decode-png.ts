import sharp from 'sharp';
import type { RgbImage } from '../../src/base/image.ts';

/** The pixels of an output file, which has no transparency. */
export async function decodePng(png: Uint8Array): Promise<RgbImage> {
  const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, channels: 3, data };
}
