import sharp from 'sharp';
import type { RgbImage } from './image.ts';

/** Longest side, pixels. The whole then fits into a message of the database, noise too. */
const longestSide = 64;

/** A small WebP of the picture, as a data URL. */
export async function thumbnail({ data, width, height, channels }: RgbImage): Promise<string> {
  const bytes = await sharp(data, { raw: { width, height, channels } })
    .resize(longestSide, longestSide, { fit: 'inside', withoutEnlargement: true })
    .webp({ quality: 60 })
    .toBuffer();
  return `data:image/webp;base64,${bytes.toString('base64')}`;
}
