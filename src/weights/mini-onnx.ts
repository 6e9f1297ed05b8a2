import {
  bytes,
  concat,
  dataTypes,
  type Encoded,
  graphFields,
  integer,
  message,
  modelFields,
  opsetFields,
  tensorFields,
  text,
} from '../onnx/proto.ts';
import { encodeNode, encodeValue, irVersion } from '../onnx/write.ts';
import { type MiniFile, writeWhole } from './mini-file.ts';

/** By name; all of float32. */
interface Shapes {
  inputs: Readonly<Record<string, readonly number[]>>;
  outputs: Readonly<Record<string, readonly number[]>>;
}

/** An ONNX file whose network returns zeros: it finds nothing, as every finding of an untrained one would be false. */
export function blindFile(path: string, shapes: Shapes): MiniFile {
  return { path, recipe: shapes, write: (destination) => writeWhole(destination, blindModel(shapes)) };
}

function blindModel({ inputs, outputs }: Shapes): Uint8Array {
  const shapeOf = (name: string): string => `shape of ${name}`;
  return concat([
    integer(modelFields.irVersion, irVersion),
    message(modelFields.opsetImport, [text(opsetFields.domain, ''), integer(opsetFields.version, 17)]),
    message(modelFields.graph, [
      ...Object.keys(outputs).map((name) => {
        const node = { name, op: 'ConstantOfShape', domain: '', inputs: [shapeOf(name)], output: name, attributes: {} };
        return message(graphFields.node, encodeNode(node));
      }),
      text(graphFields.name, 'blind'),
      ...Object.entries(outputs).map(([name, dims]) =>
        message(graphFields.initializer, wholeNumbers(shapeOf(name), dims)),
      ),
      ...Object.entries(inputs).map(([name, dims]) => message(graphFields.input, encodeValue(name, 'float32', dims))),
      ...Object.entries(outputs).map(([name, dims]) => message(graphFields.output, encodeValue(name, 'float32', dims))),
    ]),
  ]);
}

function wholeNumbers(name: string, values: readonly number[]): Encoded[] {
  return [
    integer(tensorFields.dims, values.length),
    integer(tensorFields.dataType, dataTypes.int64),
    text(tensorFields.name, name),
    bytes(tensorFields.rawData, new Uint8Array(BigInt64Array.from(values, BigInt).buffer)),
  ];
}
