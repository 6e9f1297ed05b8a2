/**
 * Reading of the protobuf encoding, field by field, from a file or from memory. Whatever the bytes say, nothing beyond
 * their end is read, and a length costs nothing before it was compared with that end.
 */

/** Bytes by their place. */
export interface ByteSource {
  /** Valid until the next call. `end` is never beyond the end that a walk was given. */
  slice(start: number, end: number): Uint8Array;
}

export interface ProtoField {
  number: number;
  /** Of numbers of variable length; of all others 0. Those above 2^53 lose their last digits. */
  value: number;
  /** Where the field begins, its content begins, and both end. */
  start: number;
  content: number;
  end: number;
  /** Whether it holds a text, bytes, a message or many numbers. */
  hasLength: boolean;
}

export const notProto = 'it is not an ONNX file, or it is damaged. Download it again';

const longestVarint = 10;

/**
 * The fields of the message between two places.
 *
 * @param fault makes the error of a reason
 */
export function* protoFields(
  source: ByteSource,
  start: number,
  end: number,
  fault: (reason: string) => Error,
): Generator<ProtoField> {
  let position = start;

  const varint = (): number => {
    const bytes = source.slice(position, Math.min(end, position + longestVarint));
    let value = 0;
    for (let index = 0; index < bytes.length; index++) {
      value += (bytes[index]! & 0x7f) * 2 ** (7 * index);
      if (bytes[index]! < 0x80) {
        position += index + 1;
        return value;
      }
    }
    throw fault(notProto);
  };

  while (position < end) {
    const first = position;
    const key = varint();
    const number = Math.floor(key / 8);
    const wireType = key % 8;
    let content = position;
    let value = 0;
    if (wireType === 0) value = varint();
    else if (wireType === 1) position += 8;
    else if (wireType === 5) position += 4;
    else if (wireType === 2) {
      const length = varint();
      content = position;
      position += length;
    } else throw fault(notProto);
    if (number === 0 || position > end) throw fault(notProto);
    yield { number, value, start: first, content, end: position, hasLength: wireType === 2 };
  }
}

export function inMemory(bytes: Uint8Array): ByteSource {
  return { slice: (start, end) => bytes.subarray(start, end) };
}
