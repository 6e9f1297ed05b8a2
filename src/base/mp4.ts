/**
 * MP4 files with one H.264 track: ISO/IEC 14496-12 (boxes) and 14496-15 (H.264 in them). Written so that a player can
 * start before the whole file is there, and the same bytes for the same film.
 *
 * Not here: sound, edit lists, pictures that are shown in another order than they are stored in, files beyond 4 GB.
 */

export interface H264Track {
  width: number;
  height: number;
  /** The content of an `avcC` box: the decoder's parameters. */
  decoderConfig: Uint8Array;
  /** Pictures in the order in which they are shown, as NAL units with their lengths in front. */
  samples: readonly H264Sample[];
  /** Thousandths of a second for which each picture is shown. */
  sampleDuration: number;
}

export interface H264Sample {
  bytes: Uint8Array;
  /** Can be decoded without those before it. */
  isKey: boolean;
}

/** Units a second that durations are counted in. */
const timescale = 1000;

export function writeMp4(track: H264Track): Uint8Array {
  const brands = ['isom', 'iso2', 'avc1', 'mp41'];
  const fileType = box('ftyp', text('isom'), u32(0x200), ...brands.map(text));
  // How long the index is does not depend on where the pictures begin.
  const mediaStart = fileType.length + movie(track, 0).length + 8;
  return join([fileType, movie(track, mediaStart), box('mdat', ...track.samples.map(({ bytes }) => bytes))]);
}

function movie(track: H264Track, mediaStart: number): Uint8Array {
  const { width, height, samples, sampleDuration } = track;
  const duration = samples.length * sampleDuration;
  return box(
    'moov',
    // Times of creation are zero. Then rate and volume of 1, the identity as matrix, and the next free track.
    fullBox('mvhd', 0, u32(0, 0, timescale, duration, 0x10000), u16(0x100, 0), u32(0, 0), unity, zeros(24), u32(2)),
    box(
      'trak',
      // Enabled, and part of the film.
      fullBox(
        'tkhd',
        3,
        u32(0, 0, 1, 0, duration, 0, 0),
        u16(0, 0, 0, 0),
        unity,
        u32(width * 0x10000, height * 0x10000),
      ),
      box(
        'mdia',
        // No language.
        fullBox('mdhd', 0, u32(0, 0, timescale, duration), u16(0x55c4, 0)),
        fullBox('hdlr', 0, u32(0), text('vide'), zeros(13)),
        box(
          'minf',
          fullBox('vmhd', 1, zeros(8)),
          box('dinf', fullBox('dref', 0, u32(1), fullBox('url ', 1))),
          sampleTable(track, mediaStart),
        ),
      ),
    ),
  );
}

function sampleTable(track: H264Track, mediaStart: number): Uint8Array {
  const { samples, sampleDuration } = track;
  const keys = samples.flatMap(({ isKey }, index) => (isKey ? [index + 1] : []));
  return box(
    'stbl',
    fullBox('stsd', 0, u32(1), sampleEntry(track)),
    fullBox('stts', 0, u32(1, samples.length, sampleDuration)),
    fullBox('stss', 0, u32(keys.length, ...keys)),
    // One chunk with all of them.
    fullBox('stsc', 0, u32(1, 1, samples.length, 1)),
    fullBox('stsz', 0, u32(0, samples.length, ...samples.map(({ bytes }) => bytes.length))),
    fullBox('stco', 0, u32(1, mediaStart)),
  );
}

function sampleEntry({ width, height, decoderConfig }: H264Track): Uint8Array {
  const dotsPerInch = 72 * 0x10000;
  return box(
    'avc1',
    u16(0, 0, 0, 1),
    zeros(16),
    u16(width, height),
    u32(dotsPerInch, dotsPerInch, 0),
    u16(1),
    zeros(32),
    u16(24, 0xffff),
    box('avcC', decoderConfig),
    // The colours of sRGB (primaries 1, transfer 13) by the matrix of BT.601 (6), not of the full range.
    box('colr', text('nclx'), u16(1, 13, 6), zeros(1)),
  );
}

/** What the parts of a file hold that another program has written: its decoder's parameters and its pictures. */
export function readH264(file: Uint8Array): Pick<H264Track, 'decoderConfig' | 'samples'> {
  const table = ['moov', 'trak', 'mdia', 'minf', 'stbl'].reduce(contentOf, file);
  const entry = contentOf(contentOf(table, 'stsd').subarray(8), 'avc1');
  const sizes = viewOf(contentOf(table, 'stsz'));
  const media = contentOf(file, 'mdat');
  const samples: H264Sample[] = [];
  let offset = 0;
  for (let index = 0; index < sizes.getUint32(8); index++) {
    const size = sizes.getUint32(4) || sizes.getUint32(12 + 4 * index);
    const bytes = media.subarray(offset, offset + size);
    samples.push({ bytes, isKey: holdsKeyPicture(bytes) });
    offset += size;
  }
  if (offset !== media.length) throw new RangeError(`The pictures have ${offset} bytes of ${media.length}.`);
  return { decoderConfig: contentOf(entry.subarray(78), 'avcC'), samples };
}

/** The content of the first box of that type. */
function contentOf(boxes: Uint8Array, type: string): Uint8Array {
  const view = viewOf(boxes);
  for (let start = 0; start + 8 <= boxes.length; ) {
    const size = view.getUint32(start);
    if (size < 8 || start + size > boxes.length) break;
    const name = String.fromCharCode(...boxes.subarray(start + 4, start + 8));
    if (name === type) return boxes.subarray(start + 8, start + size);
    start += size;
  }
  throw new RangeError(`The file has no ${type} box where one belongs.`);
}

/** Whether one of the NAL units is a slice of an instantaneous decoder refresh: type 5. */
function holdsKeyPicture(sample: Uint8Array): boolean {
  const view = viewOf(sample);
  for (let start = 0; start + 4 < sample.length; start += 4 + view.getUint32(start)) {
    if ((sample[start + 4]! & 0x1f) === 5) return true;
  }
  return false;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function box(type: string, ...content: readonly Uint8Array[]): Uint8Array {
  const length = content.reduce((sum, part) => sum + part.length, 8);
  return join([u32(length), text(type), ...content]);
}

/** A box of version 0. */
function fullBox(type: string, flags: number, ...content: readonly Uint8Array[]): Uint8Array {
  return box(type, u32(flags), ...content);
}

function u16(...values: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(2 * values.length));
  for (const [index, value] of values.entries()) view.setUint16(2 * index, value);
  return new Uint8Array(view.buffer);
}

function u32(...values: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(4 * values.length));
  for (const [index, value] of values.entries()) view.setUint32(4 * index, value);
  return new Uint8Array(view.buffer);
}

function text(ascii: string): Uint8Array {
  return Uint8Array.from(ascii, (letter) => letter.charCodeAt(0));
}

function zeros(length: number): Uint8Array {
  return new Uint8Array(length);
}

/** The matrix that leaves a picture where it is. */
const unity = u32(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000);

function join(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}
