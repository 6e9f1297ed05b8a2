/** Thrown where bytes are not what the format says; the caller knows the file's name. */
export type Fault = (reason: string) => Error;

/** Reads the little-endian parts of a pickle from front to back. */
export interface PickleBytes {
  readonly position: number;
  take(count: number): Uint8Array;
  byte(): number;
  uint16(): number;
  int32(): number;
  uint32(): number;
  /** A 64-bit length; one that no file can have is a fault. */
  length64(): number;
  /** Big-endian, as the format has it. */
  float64(): number;
  /** Up to the next line feed, without it. */
  line(): string;
}

export function pickleBytes(bytes: Uint8Array, start: number, fault: Fault): PickleBytes {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let position = start;

  const advance = (count: number): number => {
    if (count > bytes.length - position) throw fault('its pickle is cut short. Download it again');
    position += count;
    return position - count;
  };

  return {
    get position() {
      return position;
    },
    take(count) {
      const begin = advance(count);
      return bytes.subarray(begin, begin + count);
    },
    byte: () => view.getUint8(advance(1)),
    uint16: () => view.getUint16(advance(2), true),
    int32: () => view.getInt32(advance(4), true),
    uint32: () => view.getUint32(advance(4), true),
    length64() {
      const length = view.getBigUint64(advance(8), true);
      if (length > BigInt(bytes.length)) throw fault('its pickle is cut short. Download it again');
      return Number(length);
    },
    float64: () => view.getFloat64(advance(8), false),
    line() {
      const end = bytes.indexOf(0x0a, position);
      if (end === -1) throw fault('its pickle is cut short. Download it again');
      const begin = advance(end + 1 - position);
      return decodeUtf8(bytes.subarray(begin, end), fault);
    },
  };
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function decodeUtf8(bytes: Uint8Array, fault: Fault): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw fault('its pickle holds a text that is not UTF-8. Download it again');
  }
}

/** A signed little-endian number of any length; a bigint only where a number would lose digits. */
export function decodeLong(bytes: Uint8Array): number | bigint {
  let value = 0n;
  for (const byte of bytes.toReversed()) value = (value << 8n) | BigInt(byte);
  const signed = BigInt.asIntN(8 * bytes.length, value);
  const short = Number(signed);
  return Number.isSafeInteger(short) ? short : signed;
}
