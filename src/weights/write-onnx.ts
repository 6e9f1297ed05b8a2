import type { Graph, Initializer } from '../onnx/graph.ts';
import { anySize, type ValueInfo } from '../onnx/model.ts';
import { concat, type Encoded, graphFields, integer, message, modelFields, opsetFields, text } from '../onnx/proto.ts';
import { encodeInitializer, encodeNode, encodeValue, irVersion, opset, renaming } from '../onnx/write.ts';
import type { TensorToWrite } from './write-safetensors.ts';

/**
 * The `.onnx` file of a graph, with its weights inside and its outputs under their own names, as networks are published.
 *
 * @param tensors that the graph was built over, by name
 * @param openAxes of inputs and outputs, by name, whose lengths the file leaves open: no node may rely on them
 */
export function wholeModel(
  graph: Graph,
  tensors: ReadonlyMap<string, TensorToWrite>,
  openAxes: Readonly<Record<string, readonly number[]>> = {},
): Uint8Array {
  const encodeOpen = ({ name, type, dims }: ValueInfo): Encoded[] =>
    encodeValue(
      name,
      type,
      dims.map((dim, axis) => (openAxes[name]?.includes(axis) ? anySize : dim)),
    );
  return concat([
    integer(modelFields.irVersion, irVersion),
    text(modelFields.producerName, 'darkroom'),
    message(modelFields.opsetImport, [text(opsetFields.domain, ''), integer(opsetFields.version, opset)]),
    message(modelFields.graph, [
      ...graph.nodes.map((node) => message(graphFields.node, encodeNode(node))),
      ...graph.outputs.map(({ name, value }) =>
        message(graphFields.node, encodeNode({ ...renaming(value.name, name), name, output: name })),
      ),
      text(graphFields.name, graph.name),
      ...graph.initializers.map((initializer) => {
        const whole = { ...initializer, content: contentOf(initializer, tensors) };
        return message(graphFields.initializer, encodeInitializer(whole, '/'));
      }),
      ...graph.inputs.map((input) => message(graphFields.input, encodeOpen(input))),
      ...graph.outputs.map(({ name, value }) => message(graphFields.output, encodeOpen({ ...value, name }))),
    ]),
  ]);
}

function contentOf({ content }: Initializer, tensors: ReadonlyMap<string, TensorToWrite>): Uint8Array {
  if (content instanceof Uint8Array) return content;
  const { bytes: pieces } = tensors.get(content.name)!;
  return pieces instanceof Uint8Array ? pieces : concat([...pieces]);
}
