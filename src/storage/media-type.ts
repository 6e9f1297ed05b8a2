/**
 * What a file is, by its first bytes. Only passive kinds are told apart; everything else, HTML and SVG among it, is
 * `application/octet-stream`, so that nothing stored can become active content on the server's origin.
 *
 * Signatures: the registrations at iana.org/assignments/media-types and the formats' own specifications. The table is
 * this short because the server stores pictures and videos alone; a general detector would be the larger risk.
 */
export const unknownMediaType = 'application/octet-stream';

/** As many first bytes as `sniffMediaType` looks at. */
export const sniffedBytes = 64;

interface Signature {
  type: string;
  /** File ending, with its dot. */
  ending: string;
  matches(head: Buffer): boolean;
}

const signatures: readonly Signature[] = [
  { type: 'image/png', ending: '.png', matches: startsWith('\x89PNG\r\n\x1a\n') },
  { type: 'image/jpeg', ending: '.jpg', matches: startsWith('\xff\xd8\xff') },
  { type: 'image/gif', ending: '.gif', matches: (head) => startsWith('GIF87a')(head) || startsWith('GIF89a')(head) },
  { type: 'image/webp', ending: '.webp', matches: (head) => startsWith('RIFF')(head) && text(head, 8, 12) === 'WEBP' },
  { type: 'image/avif', ending: '.avif', matches: (head) => hasBrand(head, ['avif', 'avis']) },
  { type: 'image/heic', ending: '.heic', matches: (head) => hasBrand(head, ['heic', 'heix', 'heim', 'heis']) },
  { type: 'image/heif', ending: '.heif', matches: (head) => hasBrand(head, ['mif1', 'msf1']) },
  { type: 'video/quicktime', ending: '.mov', matches: (head) => hasBrand(head, ['qt  ']) },
  { type: 'video/mp4', ending: '.mp4', matches: (head) => text(head, 4, 8) === 'ftyp' },
  { type: 'video/webm', ending: '.webm', matches: startsWith('\x1a\x45\xdf\xa3') },
  { type: 'image/tiff', ending: '.tiff', matches: (head) => startsWith('II*\0')(head) || startsWith('MM\0*')(head) },
  {
    type: 'image/jxl',
    ending: '.jxl',
    matches: (head) => startsWith('\xff\x0a')(head) || startsWith('\0\0\0\x0cJXL ')(head),
  },
  { type: 'image/bmp', ending: '.bmp', matches: (head) => startsWith('BM')(head) && head.length >= 26 },
];

export function sniffMediaType(head: Buffer): string {
  return signatures.find(({ matches }) => matches(head))?.type ?? unknownMediaType;
}

/** `.png` for `image/png`; nothing for what is not known. */
export function endingOf(mediaType: string): string {
  return signatures.find(({ type }) => type === mediaType)?.ending ?? '';
}

/** Whether a browser may show the file in place: kinds from the table, none of which can hold a script. */
export function isPassive(mediaType: string): boolean {
  return signatures.some(({ type }) => type === mediaType);
}

function startsWith(signature: string): (head: Buffer) => boolean {
  const bytes = Buffer.from(signature, 'latin1');
  return (head) => head.subarray(0, bytes.length).equals(bytes);
}

function text(head: Buffer, start: number, end: number): string {
  return head.toString('latin1', start, end);
}

/** ISO base media files (ISO/IEC 14496-12 §4.3) name their kind in the first brand after `ftyp`. */
function hasBrand(head: Buffer, brands: readonly string[]): boolean {
  return text(head, 4, 8) === 'ftyp' && brands.includes(text(head, 8, 12));
}
