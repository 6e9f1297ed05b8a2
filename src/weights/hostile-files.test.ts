/**
 * Weight files that are damaged or want harm. Whatever is in a file, opening it ends in tensors that lie inside it or in
 * a WeightError that names it; nothing of it is run, and its claims about sizes cost nothing.
 */
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { processorTime } from '../../test/support/processor-time.ts';
import { int, pickle, tensor, text, torchLegacy, torchZip, uint32, zip } from '../../test/support/torch-files.ts';
import { fixture } from '../../test/support/weight-content.ts';
import { WeightError } from '../base/errors.ts';
import { readWeightFile } from './weight-formats.ts';
import { writeSafetensors } from './write-safetensors.ts';

let folder: string;
beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'hostile-')));
});
afterAll(() => rm(folder, { recursive: true }));

async function refused(bytes: Uint8Array, message: RegExp): Promise<void> {
  const path = join(folder, 'hostile.pth');
  await writeFile(path, bytes);
  const failed = readWeightFile(path);
  await expect(failed).rejects.toThrow(message);
  await expect(failed).rejects.toThrow(path);
  await expect(failed).rejects.toBeInstanceOf(WeightError);
}

const storage = new Uint8Array(24);
const marker = (): string => join(folder, 'was-run');

/** A pickle that, read by Python, creates the marker; each names another way in. */
const attacks: Record<string, () => Buffer> = {
  'posix.system': () => pickle('cposix\nsystem\n(', text(`touch ${marker()}`), 'tR'),
  'os.system': () => pickle('cos\nsystem\n(', text(`touch ${marker()}`), 'tR'),
  'builtins.eval': () => pickle('cbuiltins\neval\n(', text(`open(${JSON.stringify(marker())}, 'w')`), 'tR'),
  'builtins.exec': () => pickle('cbuiltins\nexec\n(', text(`open(${JSON.stringify(marker())}, 'w')`), 'tR'),
  'builtins.getattr': () => pickle('cbuiltins\ngetattr\n(ccollections\nOrderedDict\n', text('__init__'), 'tR'),
  '__builtin__.eval': () => pickle('c__builtin__\neval\n(', text('1'), 'tR'),
  'subprocess.Popen': () => pickle('csubprocess\nPopen\n((', text('touch'), text(marker()), 'ttR'),
  'torch.load': () => pickle('ctorch\nload\n(', text('/etc/passwd'), 'tR'),
  'torch.hub.load': () => pickle('ctorch.hub\nload\n(', text('owner/name'), 'tR'),
  'torch.storage._load_from_bytes': () => pickle('ctorch.storage\n_load_from_bytes\n(B', uint32(1), '.tR'),
  'torch._utils._import_dotted_name': () => pickle('ctorch._utils\n_import_dotted_name\n(', text('os.system'), 'tR'),
  'numpy.core.multiarray.fromfile': () => pickle('cnumpy.core.multiarray\nfromfile\n(', text('/etc/passwd'), 'tR'),
  'collections.OrderedDict.__init__': () => pickle('ccollections\nOrderedDict.__init__\n)R'),
  'os.path.join': () => pickle(text('os.path'), text('join'), '\x93)R'), // STACK_GLOBAL
  '__main__.Model': () => pickle('c__main__\nModel\n)\x81}b'), // NEWOBJ
  'builtins.Object.prototype': () => pickle('cbuiltins\nObject.prototype\n)R'),
};

describe('a pickle that calls something is refused and not run:', () => {
  test.each(Object.entries(attacks))('%s', async (name, make) => {
    const message = new RegExp(`wants the Python object "${name.replaceAll('.', '\\.')}".* Nothing was run`);
    await refused(torchZip(make()), message);
    await refused(torchLegacy(make(), [], []), message);
    expect(existsSync(marker())).toBe(false);
  });

  test('also where weights lie beside it, or it stands in the tensor itself', async () => {
    const good = [text('a'), tensor('0', 6, [6], [1])] as const;
    const bad = [text('b'), 'cos\nsystem\n(', text(`touch ${marker()}`), 'tR'] as const;
    await refused(torchZip(pickle('}(', ...good, ...bad, 'u'), { 0: storage }), /"os\.system"/);
    const hooks = Buffer.from('ctorch._utils\n_rebuild_tensor_v2\n(cos\nsystem\n');
    await refused(torchZip(pickle(hooks, 'tR'), {}), /"os\.system"/);
    const magic = pickle('cos\nsystem\n(', text(`touch ${marker()}`), 'tR');
    await refused(magic, /"os\.system"/);
    await refused(Buffer.concat([magic, storage]), /"os\.system"/);
    expect(existsSync(marker())).toBe(false);
  });
});

describe('a pickle is refused', () => {
  const inZip = (...parts: (string | Uint8Array)[]): Buffer => torchZip(pickle(...parts), { 0: storage });
  const one = (...args: Parameters<typeof tensor>): Buffer => inZip('}', text('a'), tensor(...args), 's');

  test.each<[string, () => Buffer, RegExp]>([
    ['that calls what is no function', () => inZip('ctorch\nFloatStorage\n)R'), /calls "torch\.FloatStorage"/],
    ['that calls a text', () => inZip(text('system'), ')R'), /makes no sense/],
    ['that calls a map with a name', () => inZip('}', text('name'), text('torch.Size'), 's)R'), /makes no sense/],
    ['that calls what a placeholder stands for', () => inZip('cnumpy\ndtype\n)R)R'), /makes no sense/],
    ['that gives a state to a tensor', () => inZip(tensor('0', 6, [6], [1]), '}b'), /makes no sense/],
    ['with a text opcode', () => inZip('I1\n'), /operation 0x49/],
    ['with the extension registry', () => inZip('\x82\x01'), /operation 0x82/],
    ['with persistent ids as text', () => inZip('P1\n'), /operation 0x50/],
    ['of protocol 0', () => torchZip(Buffer.from('\x80\x00}.', 'latin1')), /protocol 0/],
    ['of protocol 6', () => torchZip(Buffer.from('\x80\x06}.', 'latin1')), /protocol 6/],
    ['without an end', () => torchZip(Buffer.from('\x80\x02}', 'latin1')), /cut short/],
    ['with an empty stack', () => inZip(), /makes no sense/],
    ['with a mark below', () => inZip('}(s'), /makes no sense/],
    ['with more on its stack', () => inZip('}}'), /makes no sense/],
    ['with a memo that is not there', () => inZip('h\x05'), /makes no sense/],
    ['with a text longer than it', () => inZip('X', uint32(2 ** 32 - 1)), /cut short/],
    ['with bytes longer than any file', () => inZip('\x8e', Buffer.alloc(8, 0xff)), /cut short/],
    ['with a number of a gigabyte', () => inZip('\x8b', uint32(2 ** 30)), /number of 1073741824 bytes/],
    ['with a text that is not UTF-8', () => inZip('X', uint32(1), Buffer.from([0xff])), /not UTF-8/],
    ['with a list as a key', () => inZip('}]Ns'), /makes no sense/],
    ['that adds to a tuple', () => inZip(')Na'), /makes no sense/],
    ['with half an entry', () => inZip('}(Nu'), /makes no sense/],
    ['without tensors', () => inZip('}', text('a'), 'K\x01s'), /no map of tensors/],
    ['that is a tensor alone', () => inZip(tensor('0', 6, [6], [1])), /no map of tensors/],
    [
      'that names a tensor twice',
      () => {
        const twice = [text('a.b'), tensor('0', 6, [6], [1]), text('a'), '}', text('b'), tensor('0', 6, [6], [1]), 's'];
        return inZip('}(', ...twice, 'u');
      },
      /names "a\.b" twice/,
    ],
    ['with a tensor beyond its storage', () => one('0', 6, [7], [1]), /"a" is larger than its storage/],
    ['with a tensor that ends beyond it', () => one('0', 6, [3], [1], 4), /"a" is larger than its storage/],
    ['with a negative offset', () => one('0', 6, [3], [1], -1), /describes a tensor in a way/],
    ['with a negative size', () => one('0', 6, [-3], [1]), /describes a tensor in a way/],
    ['with steps of nothing', () => one('0', 6, [2, 3], [0, 0]), /gaps or repeats/],
    ['with negative steps', () => one('0', 6, [2, 3], [-3, 1]), /describes a tensor in a way/],
    ['with too few steps', () => one('0', 6, [2, 3], [1]), /describes a tensor in a way/],
    ['with a size beyond counting', () => one('0', 6, Array(8).fill(2 ** 30), Array(8).fill(1)), /too large to count/],
    ['with more axes than PyTorch has', () => one('0', 6, Array(65).fill(1), Array(65).fill(1)), /in a way that/],
    ['with a storage that is not there', () => one('1', 6, [6], [1]), /no bytes of storage 1 where 24 belong/],
    ['with a storage of another size', () => one('0', 7, [6], [1]), /24 bytes of storage 0 where 28 belong/],
    [
      'with a storage outside the container',
      () => one('../../data.pkl', 6, [6], [1]),
      /no bytes of storage \.\.\/\.\./,
    ],
    [
      'with a storage in two sizes',
      () => {
        const two = [text('a'), tensor('0', 6, [6], [1]), text('b'), tensor('0', 3, [3], [1])];
        return inZip('}(', ...two, 'u');
      },
      /storage 0 is described in two ways/,
    ],
    [
      'with a tensor of a text',
      () => inZip('ctorch._utils\n_rebuild_tensor_v2\n(', text('0'), int(0), '))tR'),
      /in a way/,
    ],
    [
      'with a parameter of a map',
      () => inZip('ctorch._utils\n_rebuild_parameter\n(}tR'),
      /parameter that is no tensor/,
    ],
    ['with another thing outside', () => inZip('(', text('module'), text('os'), 'tQ'), /no storage of numbers/],
    ['with a map of no pairs', () => inZip('ccollections\nOrderedDict\n(](NetR'), /than pairs/],
  ])('%s', async (_, make, message) => await refused(make(), message));
});

describe('a bomb costs nothing:', () => {
  const within = async (milliseconds: number, work: () => Promise<void>): Promise<void> => {
    const memory = process.memoryUsage().rss;
    expect(await processorTime(work)).toBeLessThan(milliseconds);
    expect(process.memoryUsage().rss - memory).toBeLessThan(600 << 20);
  };

  test('maps nested beyond any depth', async () => {
    const deep = pickle(
      ...Array.from({ length: 50_000 }, () => Buffer.concat([Buffer.from('}'), text('a')])),
      'N',
      's'.repeat(50_000),
    );
    await within(20_000, () => refused(torchZip(deep), /more than 16 deep/));
    await within(20_000, () =>
      refused(torchZip(pickle(']'.repeat(300_000), 'a'.repeat(299_999))), /no map of tensors/),
    );
  });

  test('a map that contains itself', async () => {
    await refused(torchZip(pickle('}q\x00', text('a'), 'h\x00s')), /more than 16 deep/);
  });

  test('lists of lists of lists, each ten times the one before', async () => {
    const memo = (index: number): string => String.fromCharCode(index);
    const levels = Array.from({ length: 9 }, (_, level) => `](${`h${memo(level)}`.repeat(10)}eq${memo(level + 1)}0`);
    const laughs = pickle('}', text('a'), ']q\x000', ...levels, 'h\x09s');
    await within(20_000, () => refused(torchZip(laughs), /more than 400000 entries/));
  });

  test('more maps than memory', async () => {
    await within(20_000, () => refused(torchZip(pickle('}'.repeat(15 << 20))), /more than 400000 lists and maps/));
  });

  test('more operations than patience', async () => {
    await within(20_000, () => refused(torchZip(pickle('N0'.repeat(7 << 20))), /more than 4000000 operations/));
  });

  test('a long list copied again and again', async () => {
    const list = [']q\x00(', '](NNe'.repeat(20_000), 'e'];
    const copies = 'ccollections\nOrderedDict\n(h\x00tR0'.repeat(10_000);
    await within(20_000, () => refused(torchZip(pickle(...list, copies, 'N')), /copies more than 400000 entries/));
  });

  test('a long key that many names begin with', async () => {
    const tensors = Array.from({ length: 5000 }, (_, index) => Buffer.concat([int(index), tensor('0', 6, [6], [1])]));
    const names = pickle('}', text('k'.repeat(1 << 20)), '}(', ...tensors, 'us');
    await within(20_000, () => refused(torchZip(names, { 0: storage }), /name of 1048578 letters, above the limit/));
  });

  test('a pickle above the limit', async () => {
    const bytes = torchZip(Buffer.alloc((16 << 20) + 1));
    await within(20_000, () => refused(bytes, /"archive\/data\.pkl" has 16777217 bytes, above the limit/));
  });
});

test('a message stays short, whatever it quotes', async () => {
  const path = join(folder, 'hostile.pth');
  await writeFile(path, torchZip(pickle(`c${'m'.repeat(1 << 20)}\nname\n.`)));
  const { message } = await readWeightFile(path).then(
    () => expect.unreachable(),
    (error: Error) => error,
  );
  expect(message).toMatch(/wants the Python object "m+ … .*Nothing was run\. Use these weights as \.safetensors\.$/);
  expect(message.length).toBeLessThan(path.length + 1000);
});

describe('a zip container is refused', () => {
  const data = pickle('}', text('a'), tensor('0', 6, [6], [1]), 's');
  const parts = [
    { name: 'x/data.pkl', bytes: data },
    { name: 'x/data/0', bytes: storage },
  ];
  const [first, second] = parts as [(typeof parts)[0], (typeof parts)[0]];

  test.each<[string, () => Buffer, RegExp]>([
    ['when compressed', () => zip([{ ...first, claims: { method: 8 } }, second]), /"x\/data\.pkl" is compressed/],
    [
      'when a petabyte of zeros would come out',
      () => zip([{ ...first, claims: { method: 8, uncompressedSize: 2 ** 32 - 2 } }, second]),
      /is compressed/,
    ],
    ['when encrypted', () => zip([{ ...first, claims: { flags: 1 } }, second]), /encrypted entry/],
    ['with an entry in two sizes', () => zip([{ ...first, claims: { uncompressedSize: 7 } }, second]), /in two sizes/],
    ['with an entry beyond its end', () => zip([{ ...first, claims: { size: 2 ** 31 } }, second]), /outside itself/],
    ['with a header beyond its end', () => zip([first, { ...second, claims: { header: 2 ** 31 } }]), /outside itself/],
    [
      'with large sizes that are not there',
      () => zip([{ ...first, claims: { size: 2 ** 32 - 1 } }]),
      /lacks the sizes/,
    ],
    [
      'with an entry over another one',
      () => zip([{ ...first, claims: { size: data.length + 5 } }, second]),
      /over another/,
    ],
    ['with one header for two', () => zip([first, { ...second, claims: { header: 0 } }]), /in two ways/],
    ['with an entry twice', () => zip([first, second, second]), /two entries "x\/data\/0"/],
    ['with two names for an entry', () => zip([first, { ...second, claims: { name: 'x/data/1' } }]), /in two ways/],
    ['with two pickles', () => zip([...parts, { name: 'y/data.pkl', bytes: data }]), /2 entries data\.pkl/],
    ['without a pickle', () => zip([second]), /without a data\.pkl/],
    ['with its pickle elsewhere', () => zip([{ ...first, name: '../../x/data.pkl' }, second]), /without a data\.pkl/],
    ['with its pickle at the root', () => zip([{ ...first, name: '/data.pkl' }, second]), /without a data\.pkl/],
    ['of a program', () => zip([...parts, { name: 'x/constants.pkl', bytes: data }]), /TorchScript/],
    ['of another byte order', () => zip([...parts, { name: 'x/byteorder', bytes: Buffer.from('big') }]), /big-endian/],
    ['with a wrong count', () => zip(parts, { count: 3 }), /2 entries and says 3/],
    ['with bytes in front', () => Buffer.concat([zip(parts).subarray(0, 4), zip(parts)]), /another place/],
    ['with bytes at its end', () => Buffer.concat([zip(parts), storage]), /cut short/],
  ])('%s', async (_, make, message) => await refused(make(), message));

  test('but its root may have any name', async () => {
    const path = join(folder, 'root.bin');
    await writeFile(path, zip(parts));
    expect([...(await readWeightFile(path)).keys()]).toEqual(['a']);
  });
});

describe('an older container is refused', () => {
  const data = pickle('}', text('a'), tensor('0', 6, [6], [1]), 's');
  /** Behind the magic number. */
  const withProtocol = (protocol: Buffer): Buffer =>
    Buffer.concat([torchLegacy(data, [], []).subarray(0, 15), protocol]);

  test.each<[string, () => Buffer, RegExp]>([
    ['with another magic number', () => pickle('K\x01'), /not one that PyTorch saved/],
    ['with another protocol', () => withProtocol(pickle('K\x01')), /another protocol/],
    [
      'whose protocol is lists without end',
      () => withProtocol(pickle(']'.repeat(100_000), 'a'.repeat(99_999))),
      /another protocol/,
    ],
    ['with a storage too few', () => torchLegacy(data, [], []), /keys of its storages/],
    ['with a storage too many', () => torchLegacy(data, ['0', '1'], [storage, storage]), /keys of its storages/],
    ['with a storage twice', () => torchLegacy(data, ['0', '0'], [storage, storage]), /keys of its storages/],
    [
      'with a wrong count',
      () => torchLegacy(data, ['0'], [new Uint8Array(20)]),
      /5 values of storage 0 where 6 belong/,
    ],
    ['with bytes at its end', () => Buffer.concat([torchLegacy(data, ['0'], [storage]), storage]), /24 bytes after/],
    ['without its values', () => torchLegacy(data, ['0'], []), /cut short/],
    ['cut in its values', () => torchLegacy(data, ['0'], [storage]).subarray(0, -1), /cut short/],
  ])('%s', async (_, make, message) => await refused(make(), message));
});

test('a safetensors file is known even where its length reads as the beginning of a pickle', async () => {
  const path = join(folder, 'like-a-pickle.safetensors');
  const header = JSON.stringify({ a: { dtype: 'F32', shape: [6], data_offsets: [0, 24] } }).padEnd(0x0280);
  await writeFile(path, Buffer.concat([uint32(0x0280), uint32(0), Buffer.from(header), storage]));
  expect((await readFile(path)).subarray(0, 2)).toEqual(Buffer.from([0x80, 2]));
  expect([...(await readWeightFile(path)).keys()]).toEqual(['a']);
});

test('what is no weight file is told apart', async () => {
  await refused(Buffer.from('<!DOCTYPE html><html>Sign in</html>'), /web page/);
  const tar = Buffer.alloc(512);
  tar.write('ustar', 257);
  await refused(tar, /tar archive/);
});

describe('files damaged at random end in tensors inside the file or in a WeightError', () => {
  const whole = async (path: string): Promise<void> => {
    const { size } = await stat(path);
    let tensors: Awaited<ReturnType<typeof readWeightFile>>;
    try {
      tensors = await readWeightFile(path);
    } catch (error) {
      expect(error).toBeInstanceOf(WeightError);
      expect((error as Error).message).toContain(path);
      // Some remedy or reason beyond the file's name, and no text without end.
      expect((error as Error).message.length).toBeLessThan(2000);
      return;
    }
    expect(tensors.size).toBeGreaterThan(0);
    for (const { offset, byteLength, file } of tensors.values()) {
      expect(file).toBe(path);
      expect(offset >= 0 && offset + byteLength <= size).toBe(true);
    }
  };

  const sources: [string, () => Promise<Buffer>][] = [
    ['zip.pth', () => readFile(fixture('zip.pth'))],
    ['zip-protocol-4.pth', () => readFile(fixture('zip-protocol-4.pth'))],
    ['legacy.pth', () => readFile(fixture('legacy.pth'))],
    ['lightning.ckpt', () => readFile(fixture('lightning.ckpt'))],
    [
      'two.safetensors',
      async () => {
        const path = join(folder, 'two.safetensors');
        const entry = { dtype: 'F32' as const, shape: [2, 3], bytes: storage };
        await writeSafetensors(
          path,
          new Map([
            ['a', entry],
            ['b', entry],
          ]),
          { format: 'pt' },
        );
        return readFileSync(path);
      },
    ],
  ];

  test.each(sources)('%s, bytes changed', async (name, make) => {
    const original = await make();
    const path = join(folder, `changed-${name}`);
    const below = numbers(20_260);
    // The structure lies at the beginning and the end: most changes go there.
    const position = (): number => {
      const near = Math.min(original.length, 1500);
      return [below(near), original.length - 1 - below(near), below(original.length)][below(3)]!;
    };
    for (let round = 0; round < 500; round++) {
      const bytes = Buffer.from(original);
      for (let change = below(3); change >= 0; change--) {
        const at = position();
        bytes[at] = [bytes[at]! ^ (1 << below(8)), below(256), 0, 255][below(4)]!;
      }
      await writeFile(path, bytes);
      await whole(path);
    }
  });

  test.each(sources)('%s, cut short at every 16th byte and doubled', async (name, make) => {
    const original = await make();
    const path = join(folder, `cut-${name}`);
    for (let length = 0; length < original.length; length += 16) {
      await writeFile(path, original.subarray(0, length));
      await expect(readWeightFile(path)).rejects.toBeInstanceOf(WeightError);
    }
    await writeFile(path, Buffer.concat([original, original]));
    await expect(readWeightFile(path)).rejects.toBeInstanceOf(WeightError);
  });
});

/** The same whole numbers below a limit in every run: Park and Miller's generator. */
function numbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % limit;
  };
}
