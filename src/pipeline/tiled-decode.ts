/**
 * Decoding large latents tile by tile, so that memory does not grow with the picture: self-attention in the decoder needs
 * memory by the square of its area. Tiles overlap by a quarter and are blended. After huggingface/diffusers v0.24.0
 * `models/autoencoder_kl.py` (`AutoencoderKL.tiled_decode`).
 *
 * A tile is normalized by its own mean, so the result is near that of a whole decode and not equal to it.
 */
import { float32, type Tensor } from '../math/tensor.ts';

export interface Tiling {
  /** Latents on each side of a tile; a multiple of 4. The reference takes 64 for SD 1.5 and 128 for SDXL. */
  tile: number;
  /** Pixels on each side of a latent. */
  factor: number;
}

type Picture = Tensor<'float32'>;

/** Whether latents of this size have more than one tile. */
export function needsTiles({ dims }: Picture, { tile }: Tiling): boolean {
  return dims[2]! > tile || dims[3]! > tile;
}

/**
 * @param latents [B, 4, H, W]
 * @param decode decodes latents of at most the tile's size
 * @returns [B, 3, H × factor, W × factor]
 */
export async function decodeTiled(
  latents: Picture,
  { tile, factor }: Tiling,
  decode: (latents: Picture) => Promise<Picture>,
): Promise<Picture> {
  if (tile % 4 !== 0) throw new RangeError(`A tile of ${tile} latents has no quarter that could overlap.`);
  const [batch, , height, width] = latents.dims as [number, number, number, number];
  const step = (tile * 3) / 4;
  const overlap = (tile / 4) * factor;
  let result: Picture | undefined;
  let above: Picture[] = [];
  for (let top = 0; top < height; top += step) {
    const row: Picture[] = [];
    for (let left = 0; left < width; left += step) {
      const part = await decode(crop(latents, top, left, Math.min(tile, height - top), Math.min(tile, width - left)));
      if (above.length > 0) blend(above[row.length]!, part, 2, overlap);
      if (row.length > 0) blend(row.at(-1)!, part, 3, overlap);
      row.push(part);
      result ??= float32([batch, part.dims[1]!, height * factor, width * factor]);
      paste(part, result, top * factor, left * factor, step * factor);
    }
    above = row;
  }
  return result!;
}

/**
 * Turns the beginning of `next` gradually from the end of `previous` into its own, along an axis; in place, because the
 * next tile is blended with the blended one.
 */
function blend(previous: Picture, next: Picture, axis: 2 | 3, overlap: number): void {
  const extent = Math.min(previous.dims[axis]!, next.dims[axis]!, overlap);
  const [batch, channels, height, width] = next.dims as [number, number, number, number];
  const [, , previousHeight, previousWidth] = previous.dims as [number, number, number, number];
  const rows = axis === 2 ? extent : Math.min(height, previousHeight);
  const columns = axis === 3 ? extent : Math.min(width, previousWidth);
  const firstRow = axis === 2 ? previousHeight - extent : 0;
  const firstColumn = axis === 3 ? previousWidth - extent : 0;
  for (let plane = 0; plane < batch * channels; plane++) {
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < columns; x++) {
        const share = (axis === 2 ? y : x) / extent;
        const to = (plane * height + y) * width + x;
        const from = (plane * previousHeight + firstRow + y) * previousWidth + firstColumn + x;
        next.data[to] = previous.data[from]! * (1 - share) + next.data[to]! * share;
      }
    }
  }
}

function crop({ dims, data }: Picture, top: number, left: number, rows: number, columns: number): Picture {
  const [batch, channels, height, width] = dims as [number, number, number, number];
  const part = float32([batch, channels, rows, columns]);
  for (let plane = 0; plane < batch * channels; plane++) {
    for (let y = 0; y < rows; y++) {
      const from = (plane * height + top + y) * width + left;
      part.data.set(data.subarray(from, from + columns), (plane * rows + y) * columns);
    }
  }
  return part;
}

/** Copies what is inside of the picture, at most `limit` rows and columns. */
function paste(part: Picture, picture: Picture, top: number, left: number, limit: number): void {
  const [batch, channels, partHeight, partWidth] = part.dims as [number, number, number, number];
  const [, , height, width] = picture.dims as [number, number, number, number];
  const rows = Math.min(limit, partHeight, height - top);
  const columns = Math.min(limit, partWidth, width - left);
  for (let plane = 0; plane < batch * channels; plane++) {
    for (let y = 0; y < rows; y++) {
      const from = (plane * partHeight + y) * partWidth;
      picture.data.set(part.data.subarray(from, from + columns), (plane * height + top + y) * width + left);
    }
  }
}
