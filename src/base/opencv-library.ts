import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { compileFunction } from 'node:vm';
import type * as Cv from '@techstark/opencv-js';
import { RuntimeFailure } from './errors.ts';
import { withoutItsListeners } from './foreign-listeners.ts';
import type { Raster, RasterData } from './raster.ts';

/** OpenCV as it comes, with its memory in our hands. Known to `opencv*.ts` alone. */
export type Library = typeof Cv & { HEAP8: Int8Array };
export type Mat = Cv.Mat;

let current: Promise<Library> | undefined;

/** Loaded at the first call, so that processes which never need it do without its 100 MB. */
export async function openLibrary(): Promise<Library> {
  current ??= load();
  try {
    return await current;
  } catch (error) {
    current = undefined;
    throw error;
  }
}

/** Compiles 8 MB of WebAssembly: 0.4 s. */
async function load(): Promise<Library> {
  const require = createRequire(import.meta.url);
  const path = require.resolve('@techstark/opencv-js');
  // Evaluated as Node would, but for its cache, which would keep what is to be forgotten (see `largestKept`).
  const evaluate = compileFunction(await readFile(path, 'utf8'), ['module', 'exports', 'require', '__dirname'], {
    filename: path,
  });
  const module = { exports: {} as Library & { then?: unknown; onRuntimeInitialized: () => void } };
  withoutItsListeners(() => evaluate(module, module.exports, require, dirname(path)));
  const library = module.exports;
  // It has a `then` that answers with itself: whoever awaits it, waits for ever.
  delete library.then;
  await new Promise<void>((resolve) => {
    library.onRuntimeInitialized = resolve;
  });
  return library;
}

/**
 * Its memory only grows, up to 1 GB for the edges of 50 megapixels. Where it has grown beyond this many bytes, the next
 * user gets a new one, and the garbage collector the old one.
 */
const largestKept = 300_000_000;

/** Takes what has to be freed. */
export type Keep = <Item extends { delete(): void }>(item: Item) => Item;

/** Frees what was kept when the work is done, also when the work failed: no garbage collector sees this memory. */
export function withMemory<Result>(library: Library, work: (keep: Keep) => Result): Result {
  const kept: { delete(): void }[] = [];
  try {
    return work((item) => {
      kept.push(item);
      return item;
    });
  } catch (error) {
    // C++ exceptions arrive as the address of what was thrown.
    if (typeof error === 'number')
      throw new RuntimeFailure(`OpenCV failed: ${library.exceptionFromPtr(error).msg.trim()}`);
    if (!(error instanceof Error) || error.name !== 'RuntimeError') throw error;
    // It broke off in the middle, as it does where memory runs out, and cannot be trusted with anything any more.
    current = undefined;
    kept.length = 0;
    throw new RuntimeFailure(`OpenCV failed: ${error.message}. Send a smaller picture.`, { cause: error });
  } finally {
    for (const item of kept) item.delete();
    if (library.HEAP8.length > largestKept) current = undefined;
  }
}

/** A copy in OpenCV's memory. */
export function toMat(library: Library, { width, height, channels, data }: Raster): Mat {
  if (data.length !== width * height * channels) {
    throw new RangeError(`${width} × ${height} pixels of ${channels} channels are not ${data.length} values.`);
  }
  const depth =
    data instanceof Uint8Array ? library.CV_8U : data instanceof Float32Array ? library.CV_32F : library.CV_64F;
  // A type of OpenCV is the type of one value with the count of channels above its three bits.
  const mat = new library.Mat(height, width, depth + ((channels - 1) << 3));
  mat.data.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return mat;
}

/** A copy in JavaScript's memory, of the same type of values as `like`. */
export function fromMat<Data extends RasterData>(mat: Mat, like: Raster<Data>): Raster<Data> {
  const bytes = mat.data.slice();
  const data =
    like.data instanceof Uint8Array
      ? bytes
      : like.data instanceof Float32Array
        ? new Float32Array(bytes.buffer)
        : new Float64Array(bytes.buffer);
  return { width: mat.cols, height: mat.rows, channels: mat.channels(), data: data as RasterData as Data };
}
