import type { RgbImage } from '../base/image.ts';
import type { Raster } from '../base/raster.ts';

/** Three equal channels of one, as a ControlNet expects its picture. */
export function fromGrey({ width, height, data }: Raster<Uint8Array>): RgbImage {
  const rgb = new Uint8Array(data.length * 3);
  for (let pixel = 0; pixel < data.length; pixel++) rgb.fill(data[pixel]!, pixel * 3, pixel * 3 + 3);
  return { width, height, channels: 3, data: rgb };
}
