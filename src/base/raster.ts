/** Rows from top to bottom, `channels` values a pixel. An `RgbImage` is one. */
export interface Raster<Data extends RasterData = RasterData> {
  width: number;
  height: number;
  channels: number;
  data: Data;
}

export type RasterData = Uint8Array | Float32Array | Float64Array;

export interface Point {
  x: number;
  y: number;
}
