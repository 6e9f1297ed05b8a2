import { type Drawing, drawing } from './opencv-drawing.ts';
import { type Filters, filters } from './opencv-filters.ts';
import { openLibrary } from './opencv-library.ts';

/**
 * The operations of OpenCV whose result matters to the last bit, by OpenCV itself: version 4.12 as WebAssembly. Pictures
 * go in and come out as plain arrays.
 */
export type OpenCv = Filters & Drawing;

/** Ask for it where it is used: to keep one is to keep the memory that its largest picture took. */
export async function openCv(): Promise<OpenCv> {
  const library = await openLibrary();
  return { ...filters(library), ...drawing(library) };
}
