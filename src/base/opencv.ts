import { type Drawing, drawing } from './opencv-drawing.ts';
import { type Filters, filters } from './opencv-filters.ts';
import { loadLibrary } from './opencv-library.ts';

/**
 * The operations of OpenCV whose result matters to the last bit, by OpenCV itself: version 4.12 as WebAssembly. Pictures
 * go in and come out as plain arrays.
 */
export type OpenCv = Filters & Drawing;

let loading: Promise<OpenCv> | undefined;

/** Loaded at the first call, so that processes which never need it do without its 130 MB. */
export function openCv(): Promise<OpenCv> {
  loading ??= load();
  return loading;
}

async function load(): Promise<OpenCv> {
  const library = await loadLibrary();
  return { ...filters(library), ...drawing(library) };
}
