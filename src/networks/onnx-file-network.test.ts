/**
 * Networks published as `.onnx` files. Such a file is hostile until it was checked: whatever is in it, loading it ends in
 * the network that was asked for or in a WeightError that names it, and no other file is read.
 */
import { mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { WeightError } from '../base/errors.ts';
import { float32 } from '../math/tensor.ts';
import { anySize } from '../onnx/model.ts';
import {
  attributeFields,
  bytes,
  concat,
  dataTypes,
  type Encoded,
  entryFields,
  graphFields,
  integer,
  message,
  modelFields,
  opsetFields,
  tensorFields,
  text,
  typeFields,
  valueFields,
} from '../onnx/proto.ts';
import { type Encodable, encodeNode, encodeValue } from '../onnx/write.ts';
import { openSession } from '../runtime/session.ts';
import { readOnnxFile } from '../weights/onnx-file.ts';
import { type OnnxFileShapes, onnxFileNetwork } from './onnx-file-network.ts';

let folder: string;
beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'onnx-')));
});
afterAll(() => rm(folder, { recursive: true }));

const width = 300;
/** Large enough to stay in the file. */
const weights = Float32Array.from({ length: width }, (_, index) => Math.sin(index));
const rawWeights = new Uint8Array(weights.buffer);

interface Parts {
  /** Fields of the graph before and after the usual ones. */
  first?: Encoded[];
  more?: Encoded[];
  /** Fields of the tensor that hold its values or their place. */
  values?: Encoded[];
  input?: Encoded;
  outside?: Encoded[];
}

/** y = x + w */
function sum({ first = [], more = [], values, input, outside = [] }: Parts = {}): Buffer {
  const weight = [
    integer(tensorFields.dims, width),
    integer(tensorFields.dataType, dataTypes.float32),
    text(tensorFields.name, 'w'),
    ...(values ?? [bytes(tensorFields.rawData, rawWeights)]),
  ];
  return Buffer.from(
    concat([
      integer(modelFields.irVersion, 8),
      message(modelFields.opsetImport, [text(opsetFields.domain, ''), integer(opsetFields.version, 13)]),
      message(modelFields.graph, [
        ...first,
        message(graphFields.initializer, weight),
        node('Add', ['x', 'w'], 'y'),
        input ?? openValue(graphFields.input, 'x'),
        openValue(graphFields.output, 'y'),
        ...more,
      ]),
      ...outside,
    ]),
  );
}

function node(op: string, inputs: string[], output: string, attributes: Encoded[] = []): Encoded {
  const fields: Encodable = { name: output, op, domain: '', inputs, output, attributes: {} };
  return message(graphFields.node, [...encodeNode(fields), ...attributes]);
}

/** [batch, 300] of a batch that is open. */
function openValue(field: number, name: string): Encoded {
  const dimParam = 2;
  const shape = [
    message(typeFields.dim, [text(dimParam, 'batch')]),
    message(typeFields.dim, [integer(typeFields.dimValue, width)]),
  ];
  const tensor = [integer(typeFields.elementType, dataTypes.float32), message(typeFields.shape, shape)];
  return message(field, [
    text(valueFields.name, name),
    message(valueFields.type, [message(typeFields.tensorType, tensor)]),
  ]);
}

function elsewhere(entries: Record<string, string | number>): Encoded[] {
  return [
    ...Object.entries(entries).map(([key, value]) =>
      message(tensorFields.externalData, [text(entryFields.key, key), text(entryFields.value, String(value))]),
    ),
    integer(tensorFields.dataLocation, 1),
  ];
}

const shapes: OnnxFileShapes = { inputs: { x: [2, width] }, outputs: { y: [2, width] } };

async function write(content: Uint8Array, name = 'network.onnx'): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

/** What the network makes of ones. */
async function run(path: string, wanted = shapes): Promise<Record<string, unknown>> {
  const session = await openSession(await onnxFileNetwork(path, wanted).build(), 'cpu');
  try {
    return await session.run({ x: float32([2, width], new Float32Array(2 * width).fill(1)) });
  } finally {
    await session.close();
  }
}

const result = {
  y: float32(
    [2, width],
    Float32Array.from([...weights, ...weights], (value) => 1 + value),
  ),
};

async function refused(content: Uint8Array, reason: RegExp): Promise<void> {
  const path = await write(content, 'hostile.onnx');
  const failed = run(path);
  await expect(failed).rejects.toThrow(reason);
  await expect(failed).rejects.toThrow(path);
  await expect(failed).rejects.toBeInstanceOf(WeightError);
}

describe('a published file', () => {
  test('runs with the shapes that are asked for', async () => {
    expect(await run(await write(sum()))).toEqual(result);
  });

  test('is loaded once for all sizes of what it leaves open, and of nothing else', async () => {
    const path = await write(sum());
    const open = { inputs: { x: [anySize, width] }, outputs: { y: [anySize, width] } };
    const session = await openSession(await onnxFileNetwork(path, open).build(), 'cpu');
    onTestFinished(() => session.close());
    for (const batch of [2, 3]) {
      const { y } = await session.run({ x: float32([batch, width]) });
      expect(y!.dims).toEqual([batch, width]);
    }
    await expect(session.run({ x: float32([2, 7]) })).rejects.toThrow(
      /x is float32 \[\?, 300\], given float32 \[2, 7\]/,
    );
    const wider = { inputs: { x: [2, anySize] }, outputs: { y: [2, anySize] } };
    await expect(onnxFileNetwork(path, wider).build()).rejects.toThrow(
      /x float32 \[\?, 300\]\. Needed: x float32 \[2, \?\]/,
    );
  });

  test('is loaded without its weights, wherever they lie in it', async () => {
    for (let shift = 1; shift <= 4; shift++) {
      const path = await write(sum({ first: [text(graphFields.name, 'x'.repeat(shift))] }));
      expect((await onnxFileNetwork(path, shapes).build()).bytes.length).toBeLessThan(rawWeights.length);
      expect(await run(path)).toEqual(result);
    }
  });

  test('may be a link, as in a cache', async () => {
    await write(sum(), 'blob');
    await mkdir(join(folder, 'snapshot'));
    await symlink('../blob', join(folder, 'snapshot/network.onnx'));
    expect(await run(join(folder, 'snapshot/network.onnx'))).toEqual(result);
  });

  test('may name its weights among its inputs, as old ones do', async () => {
    const more = [message(graphFields.input, encodeValue('w', 'float32', [width]))];
    expect(await run(await write(sum({ more })))).toEqual(result);
  });

  test('may have its weights in another file of its folder', async () => {
    await mkdir(join(folder, 'data'));
    await write(Buffer.concat([Buffer.alloc(7), rawWeights]), 'data/weights');
    const place = { location: 'data/weights', offset: 7, length: rawWeights.length };
    expect(await run(await write(sum({ values: elsewhere(place) })))).toEqual(result);
    expect(await run(await write(sum({ values: elsewhere({ location: 'data/weights', offset: 7 }) })))).toEqual(result);
  });

  test('tells its outputs by their order where names are not known', async () => {
    const path = await write(sum());
    const network = onnxFileNetwork(path, { ...shapes, outputs: [[2, width]] });
    expect((await network.build()).outputs).toEqual([{ name: 'y', type: 'float32', dims: [2, width] }]);
  });

  test('tells its inputs by their order too', async () => {
    const network = onnxFileNetwork(await write(sum()), { ...shapes, inputs: [[2, width]] });
    expect((await network.build()).inputs).toEqual([{ name: 'x', type: 'float32', dims: [2, width] }]);
  });

  test('fails when it returns another shape than it was asked for', async () => {
    const failed = run(await write(sum()), { ...shapes, outputs: { y: [3, width] } });
    await expect(failed).rejects.toThrow(/returned "y" as \[2, 300\] and not as float32 \[3, 300\]/);
  });
});

describe('a file that is another network is refused, with what it has and what is needed:', () => {
  const has = 'Its inputs: x float32 \\[\\?, 300\\]';
  test.each<[string, OnnxFileShapes, string]>([
    ['another name', { ...shapes, inputs: { image: [2, width] } }, `${has}. Needed: image float32 \\[2, 300\\]`],
    ['another size', { ...shapes, inputs: { x: [2, 301] } }, `${has}. Needed: x float32 \\[2, 301\\]`],
    ['fewer axes', { ...shapes, inputs: { x: [2] } }, `${has}. Needed: x float32 \\[2\\]`],
    ['fewer inputs', { ...shapes, inputs: { x: [2, width], z: [1] } }, has],
    ['fewer inputs in order', { ...shapes, inputs: [[2, width], [1]] }, `${has}.*\\(2\\)`],
    ['another size in order', { ...shapes, inputs: [[2, 301]] }, `${has}. Needed: x float32 \\[2, 301\\]`],
    ['another output', { ...shapes, outputs: { z: [2, width] } }, 'Its outputs: y float32 .*Needed: z'],
    ['more outputs', { ...shapes, outputs: [[2, width], [1]] }, 'Its outputs: y .*Needed: y .*\\(2\\)'],
  ])('%s', async (_, wanted, message) => {
    const failed = run(await write(sum()), wanted);
    await expect(failed).rejects.toThrow(new RegExp(message));
    await expect(failed).rejects.toBeInstanceOf(WeightError);
  });

  test('another type', () =>
    refused(sum({ input: message(graphFields.input, encodeValue('x', 'int64', [2, width])) }), /x int64/));
});

describe('no file outside of its folder is read:', () => {
  const secret = (location: string): Encoded[] => elsewhere({ location, length: rawWeights.length });

  beforeAll(async () => {
    await writeFile(join(folder, '../onnx-secret'), rawWeights);
    await symlink('../onnx-secret', join(folder, 'innocent'));
  });
  afterAll(() => rm(join(folder, '../onnx-secret')));

  test.each([
    '../onnx-secret',
    '/etc/passwd',
    'data/../../onnx-secret',
    'C:\\secret',
    '..\\onnx-secret',
    '',
    'innocent',
  ])('"%s"', (location) => refused(sum({ values: secret(location) }), /outside of its folder/));

  test('also not by a constant', async () => {
    const tensor = [
      integer(tensorFields.dims, width),
      integer(tensorFields.dataType, dataTypes.float32),
      ...secret('etc/passwd'),
    ];
    const attribute = (field: number, content: Encoded[]): Encoded =>
      message(5, [text(attributeFields.name, 'value'), message(field, content)]);
    const constant = (field: number, content: Encoded[]): Encoded =>
      node('Constant', [], 'c', [attribute(field, content)]);
    await refused(sum({ more: [constant(attributeFields.tensor, tensor)] }), /constant of it lies in another file/);
    await refused(sum({ more: [constant(attributeFields.tensors, tensor)] }), /constant of it lies in another file/);
    const branch = [message(graphFields.initializer, tensor)];
    await refused(sum({ more: [constant(attributeFields.graph, branch)] }), /constant of it lies in another file/);
    const inBranch = [constant(attributeFields.tensor, tensor)];
    await refused(sum({ more: [constant(attributeFields.graphs, inBranch)] }), /constant of it lies in another file/);
  });

  test('one that is not there, or shorter', async () => {
    await refused(sum({ values: secret('nowhere') }), /"nowhere", which is not there/);
    await write(rawWeights.subarray(4), 'short');
    await refused(sum({ values: secret('short') }), /not as long as "short" has room for/);
    await refused(sum({ values: elsewhere({ location: 'short', offset: -4 }) }), /not as long as "short"/);
    await refused(sum({ values: elsewhere({ location: 'short', length: 8 }) }), /not as long as "short"/);
  });
});

describe('a file is refused', () => {
  const nested = (depth: number): Encoded =>
    node('If', ['x'], `if-${depth}`, [
      message(5, [message(attributeFields.graph, depth === 0 ? [] : [nested(depth - 1)])]),
    ]);

  test.each<[string, () => Uint8Array, RegExp]>([
    ['that is empty', () => new Uint8Array(0), /has 0 bytes/],
    ['that is a web page', () => Buffer.from('<!doctype html><html></html>'), /not an ONNX file/],
    [
      'that is text',
      () => Buffer.from('version https://git-lfs.github.com/spec/v1\noid sha256:4d7a'),
      /not an ONNX file/,
    ],
    ['without a graph', () => integer(modelFields.irVersion, 8), /not an ONNX file/],
    ['with two graphs', () => Buffer.concat([sum(), sum()]), /two graphs/],
    ['with a length beyond its end', () => Buffer.from([0x3a, 0xff, 0xff, 0xff, 0xff, 0x0f]), /not an ONNX file/],
    ['with a length beyond counting', () => Buffer.from([0x3a, ...Array(9).fill(0xff), 1]), /not an ONNX file/],
    ['with a number without an end', () => Buffer.from(Array(64).fill(0xff)), /not an ONNX file/],
    ['with a loop', () => sum({ more: [node('Loop', ['x'], 'z')] }), /a loop \("Loop"\)/],
    ['with functions', () => sum({ outside: [message(modelFields.functions, [])] }), /functions/],
    ['with sparse weights', () => sum({ more: [message(graphFields.sparseInitializer, [])] }), /sparse weights/],
    ['with graphs in graphs', () => sum({ more: [nested(9)] }), /too deep/],
    [
      'with an endless name',
      () => sum({ input: openValue(graphFields.input, 'x'.repeat(3_000_000)) }),
      /names has 3000000 bytes/,
    ],
    [
      'with an endless name of a tensor',
      () => sum({ values: [text(tensorFields.name, 'x'.repeat(3_000_000)), bytes(tensorFields.rawData, rawWeights)] }),
      /names has 3000000 bytes/,
    ],
    [
      'with a tensor of a million axes',
      () => sum({ values: [bytes(tensorFields.dims, new Uint8Array(1_000_000).fill(1))] }),
      /more than 64 axes/,
    ],
    [
      'with too few bytes',
      () => sum({ values: [bytes(tensorFields.rawData, rawWeights.subarray(8))] }),
      /has 1192 bytes where 1200/,
    ],
    [
      'with an operator that does not exist',
      () => sum({ more: [node('Explode', ['x'], 'z')] }),
      /ONNX Runtime could not load .*Explode/,
    ],
    [
      'with a node without its value',
      () => sum({ more: [node('Relu', ['nothing'], 'z')] }),
      /ONNX Runtime could not load/,
    ],
  ])('%s', (_, content, reason) => refused(content(), reason));

  test('that is not there', async () => {
    await expect(run(join(folder, 'missing.onnx'))).rejects.toThrow(/cannot be opened \(ENOENT\)/);
  });
});

test('a file that was cut, or in which a byte is another, is read or refused, and nothing else', async () => {
  const whole = await readFile(
    fileURLToPath(new URL('../../test/fixtures/annotators/dwpose/yolox_l.onnx', import.meta.url)),
  );
  const broken = join(folder, 'broken.onnx');
  onTestFinished(() => rm(broken));
  const outcomes = { read: 0, refused: 0 };
  const attempt = async (content: Uint8Array): Promise<void> => {
    await writeFile(broken, content);
    try {
      await readOnnxFile(broken);
      outcomes.read++;
    } catch (error) {
      expect(error).toBeInstanceOf(WeightError);
      outcomes.refused++;
    }
  };
  for (let step = 0; step < 150; step++) {
    const place = (step * 2654435761) % whole.length;
    await attempt(whole.subarray(0, place));
    const changed = Buffer.from(whole);
    changed[step] = changed[step]! ^ (1 << (step % 8));
    changed[place] = changed[place]! ^ (1 << (step % 7));
    await attempt(changed);
  }
  expect(outcomes.refused).toBeGreaterThan(150);
  expect(outcomes.read).toBeGreaterThan(0);
});
