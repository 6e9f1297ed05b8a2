import type { Graph, Initializer } from '../onnx/graph.ts';
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
  typeFields,
  valueFields,
} from '../onnx/proto.ts';
import { encodeNode, irVersion } from '../onnx/write.ts';
import type { TensorToWrite } from './write-safetensors.ts';

/** The first that has all operators of the graphs here. */
const opset = 17;

/**
 * The `.onnx` file of a graph, with its weights inside, as networks are published.
 *
 * @param tensors that the graph was built over, by name
 * @param openAxes of inputs and outputs, by name, whose lengths the file leaves open: no node may rely on them
 */
export function wholeModel(
  graph: Graph,
  tensors: ReadonlyMap<string, TensorToWrite>,
  openAxes: Readonly<Record<string, readonly number[]>> = {},
): Uint8Array {
  const value = (name: string, dims: readonly number[]): Encoded[] =>
    encodeOpenValue(
      name,
      dims.map((dim, axis) => (openAxes[name]?.includes(axis) ? undefined : dim)),
    );
  return concat([
    integer(modelFields.irVersion, irVersion),
    text(modelFields.producerName, 'darkroom'),
    message(modelFields.opsetImport, [text(opsetFields.domain, ''), integer(opsetFields.version, opset)]),
    message(modelFields.graph, [
      ...graph.nodes.map((node) => message(graphFields.node, encodeNode(node))),
      ...graph.outputs.map(({ name, value }) =>
        message(
          graphFields.node,
          encodeNode({ name, op: 'Identity', domain: '', inputs: [value.name], output: name, attributes: {} }),
        ),
      ),
      text(graphFields.name, graph.name),
      ...graph.initializers.map((initializer) =>
        message(graphFields.initializer, encodeWhole(initializer, contentOf(initializer, tensors))),
      ),
      ...graph.inputs.map(({ name, dims }) => message(graphFields.input, value(name, dims))),
      ...graph.outputs.map(({ name, value: { dims } }) => message(graphFields.output, value(name, dims))),
    ]),
  ]);
}

function contentOf({ content }: Initializer, tensors: ReadonlyMap<string, TensorToWrite>): Uint8Array {
  if (content instanceof Uint8Array) return content;
  const { bytes: pieces } = tensors.get(content.name)!;
  return pieces instanceof Uint8Array ? pieces : concat([...pieces]);
}

function encodeWhole({ name, type, dims }: Initializer, content: Uint8Array): Encoded[] {
  return [
    ...dims.map((dim) => integer(tensorFields.dims, dim)),
    integer(tensorFields.dataType, dataTypes[type]),
    text(tensorFields.name, name),
    bytes(tensorFields.rawData, content),
  ];
}

/** `TensorShapeProto.Dimension.dim_param`: a length that has a name alone. */
const dimParam = 2;

function encodeOpenValue(name: string, dims: readonly (number | undefined)[]): Encoded[] {
  const shape = dims.map((dim) =>
    message(typeFields.dim, [dim === undefined ? text(dimParam, '?') : integer(typeFields.dimValue, dim)]),
  );
  return [
    text(valueFields.name, name),
    message(valueFields.type, [
      message(typeFields.tensorType, [
        integer(typeFields.elementType, dataTypes.float32),
        message(typeFields.shape, shape),
      ]),
    ]),
  ];
}
