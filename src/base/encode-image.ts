import sharp from 'sharp';
import { encodePng, type RgbImage } from './image.ts';

/** Formats that pictures can be asked for in, by the words of the models' inputs. */
export const imageFormats = ['webp', 'jpg', 'png'] as const;
export type ImageFormat = (typeof imageFormats)[number];

export interface EncodedImage {
  bytes: Uint8Array;
  contentType: string;
  /** Of a file's name, as Pillow calls the format. */
  ending: 'webp' | 'jpeg' | 'png';
}

/**
 * Encodes as Pillow's `Image.save` does with a quality and `optimize`: WebP with loss and method 4; JPEG with colours at
 * half the resolution and Huffman tables of its own; PNG, which has no quality.
 *
 * @param quality 0 to 100; the encoders begin at 1, which JPEG makes of 0 in the original too
 */
export async function encodeImage(picture: RgbImage, format: ImageFormat, quality: number): Promise<EncodedImage> {
  if (format === 'png') return { bytes: await encodePng(picture), contentType: 'image/png', ending: 'png' };
  const { width, height, channels } = picture;
  const raw = sharp(picture.data, { raw: { width, height, channels }, limitInputPixels: false });
  const atLeastOne = Math.max(1, quality);
  if (format === 'webp') {
    const bytes = await raw.webp({ quality: atLeastOne, effort: 4, smartSubsample: false }).toBuffer();
    return { bytes, contentType: 'image/webp', ending: 'webp' };
  }
  const options = { quality: atLeastOne, chromaSubsampling: '4:2:0', optimiseCoding: true, mozjpeg: false };
  return { bytes: await raw.jpeg(options).toBuffer(), contentType: 'image/jpeg', ending: 'jpeg' };
}
