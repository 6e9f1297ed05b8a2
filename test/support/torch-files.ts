/** Builds PyTorch's containers byte by byte, for files that PyTorch itself would never write. */

/** The opcodes of a pickle, protocol 2: the parts one after another, with the header and the final STOP. */
export function pickle(...parts: (string | Uint8Array)[]): Buffer {
  return Buffer.concat([Buffer.from([0x80, 2]), ...parts.map(bytesOf), Buffer.from('.')]);
}

/** BINUNICODE */
export function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from('X'), uint32(bytes.length), bytes]);
}

/** BININT */
export function int(value: number): Buffer {
  const bytes = Buffer.alloc(5, 'J');
  bytes.writeInt32LE(value, 1);
  return bytes;
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** A tensor of float32 over a storage of `count` values. */
export function tensor(key: string, count: number, shape: readonly number[], strides: readonly number[], offset = 0) {
  const tuple = (numbers: readonly number[]): Buffer => Buffer.concat(['(', ...numbers.map(int), 't'].map(bytesOf));
  const storage = ['(', text('storage'), 'ctorch\nFloatStorage\n', text(key), text('cpu'), int(count), 'tQ'];
  return Buffer.concat(
    [
      'ctorch._utils\n_rebuild_tensor_v2\n(',
      ...storage,
      int(offset),
      tuple(shape),
      tuple(strides),
      '\x89ccollections\nOrderedDict\n)RtR',
    ].map(bytesOf),
  );
}

function bytesOf(part: string | Uint8Array): Uint8Array {
  return typeof part === 'string' ? Buffer.from(part, 'latin1') : part;
}

export interface ZipPart {
  name: string;
  bytes: Uint8Array;
  /** What the directory says instead of the truth. */
  claims?: {
    method?: number;
    flags?: number;
    size?: number;
    uncompressedSize?: number;
    header?: number;
    name?: string;
  };
}

/** A zip file of stored entries. */
export function zip(parts: readonly ZipPart[], { count = parts.length } = {}): Buffer {
  const locals: Buffer[] = [];
  const listed: Buffer[] = [];
  let position = 0;
  for (const { name, bytes, claims = {} } of parts) {
    const { method = 0, flags = 0, size = bytes.length, uncompressedSize = size, header = position } = claims;
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50);
    local.writeUInt16LE(method, 8);
    local.writeUInt32LE(bytes.length, 18);
    local.writeUInt32LE(bytes.length, 22);
    local.writeUInt16LE(Buffer.byteLength(name), 26);
    locals.push(local, Buffer.from(name), Buffer.from(bytes));
    position += 30 + Buffer.byteLength(name) + bytes.length;
    const listedName = Buffer.from(claims.name ?? name);
    const entry = Buffer.alloc(46);
    entry.writeUInt32LE(0x02014b50);
    entry.writeUInt16LE(flags, 8);
    entry.writeUInt16LE(method, 10);
    entry.writeUInt32LE(size, 20);
    entry.writeUInt32LE(uncompressedSize, 24);
    entry.writeUInt16LE(listedName.length, 28);
    entry.writeUInt32LE(header, 42);
    listed.push(entry, listedName);
  }
  const directory = Buffer.concat(listed);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50);
  end.writeUInt16LE(count, 8);
  end.writeUInt16LE(count, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(position, 16);
  return Buffer.concat([...locals, directory, end]);
}

/** A file of PyTorch 1.6 or newer around a pickle. */
export function torchZip(data: Uint8Array, storages: Readonly<Record<string, Uint8Array>> = {}): Buffer {
  return zip([
    { name: 'archive/data.pkl', bytes: data },
    ...Object.entries(storages).map(([key, bytes]) => ({ name: `archive/data/${key}`, bytes })),
    { name: 'archive/version', bytes: Buffer.from('3\n') },
  ]);
}

/** A file of an older PyTorch around a pickle. */
export function torchLegacy(data: Uint8Array, keys: readonly string[], storages: readonly Uint8Array[]): Buffer {
  const magic = Buffer.from('8002 8a0a 6cfc 9c46 f920 6aa8 5019 2e'.replaceAll(' ', ''), 'hex');
  return Buffer.concat([
    magic,
    pickle('M', Buffer.from([0xe9, 3])),
    pickle('}', text('little_endian'), '\x88s'),
    data,
    pickle('](', ...keys.map(text), 'e'),
    ...storages.flatMap((bytes) => {
      const count = Buffer.alloc(8);
      count.writeBigUInt64LE(BigInt(bytes.length / 4));
      return [count, bytes];
    }),
  ]);
}
