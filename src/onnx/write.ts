import { parse, relative, sep } from 'node:path';
import { WeightError } from '../base/errors.ts';
import type { TensorType } from '../math/tensor.ts';
import type { Attribute, Graph, Initializer, Node, Way } from './graph.ts';
import { hideSizes } from './hidden-sizes.ts';
import { memoryNeed } from './memory.ts';
import { anySize, type OnnxModel, outputName, type ValueInfo } from './model.ts';
import {
  attributeFields,
  attributeTypes,
  bytes,
  concat,
  dataTypes,
  type Encoded,
  entryFields,
  externalLocation,
  float,
  graphFields,
  integer,
  message,
  modelFields,
  nodeFields,
  opsetFields,
  tensorFields,
  text,
  typeFields,
  valueFields,
} from './proto.ts';

/** Opset 17 is the first with LayerNormalization; nothing here needs a newer one. */
export const opset = 17;
export const irVersion = 8;

/** Serializes a graph. Weights are named by file and offset and not copied. */
export function writeModel(graph: Graph): OnnxModel {
  const externalDataFolder = rootOf(graph.initializers);
  return {
    bytes: encodeModel(graph, externalDataFolder, 'fused', hideSizes),
    fusedBytes: () => encodeModel(graph, externalDataFolder, 'fused'),
    basicBytes: () => encodeModel(graph, externalDataFolder, 'basic'),
    cpuNodes: graph.nodes.filter(({ onCpu }) => onCpu).map(({ name }) => name),
    inputs: graph.inputs,
    outputs: outputsOf(graph),
    memory: memoryNeed(graph),
    externalDataFolder,
  };
}

function outputsOf(graph: Graph): ValueInfo[] {
  return graph.outputs.map(({ name, value }) => ({ name, type: value.type, dims: value.dims }));
}

function encodeModel(
  graph: Graph,
  externalDataFolder: string,
  way: Way,
  change: (graph: Graph, nodes: readonly Node[]) => { nodes: readonly Encodable[]; inputs: readonly ValueInfo[] } = (
    _,
    nodes,
  ) => ({ nodes, inputs: [] }),
): Uint8Array {
  const { nodes, inputs } = change(
    graph,
    graph.nodes.filter((node) => node.way === undefined || node.way === way),
  );
  return concat([
    integer(modelFields.irVersion, irVersion),
    text(modelFields.producerName, 'darkroom'),
    message(modelFields.opsetImport, [text(opsetFields.domain, ''), integer(opsetFields.version, opset)]),
    message(modelFields.opsetImport, [text(opsetFields.domain, 'com.microsoft'), integer(opsetFields.version, 1)]),
    message(modelFields.graph, [
      ...nodes.map((node) => message(graphFields.node, encodeNode(node))),
      ...graph.outputs.map(({ name, value }) => message(graphFields.node, encodeNode(renaming(value.name, name)))),
      text(graphFields.name, graph.name),
      ...graph.initializers.map((initializer) =>
        message(graphFields.initializer, encodeInitializer(initializer, externalDataFolder)),
      ),
      ...[...graph.inputs, ...inputs].map(({ name, type, dims }) =>
        message(graphFields.input, encodeValue(name, type, dims)),
      ),
      ...outputsOf(graph).map(({ name, type, dims }) =>
        message(graphFields.output, encodeValue(outputName(name), type, dims)),
      ),
    ]),
  ]);
}

/** ONNX Runtime takes paths below one folder only; the root of the file system is above every real path. */
function rootOf(initializers: readonly Initializer[]): string {
  const roots = new Set<string>();
  for (const { content } of initializers) {
    if (!(content instanceof Uint8Array)) roots.add(parse(content.file).root);
  }
  if (roots.size > 1) throw new WeightError(`Weights of one network lie on several drives: ${[...roots].join(', ')}.`);
  return [...roots][0] ?? '/';
}

export type Encodable = Omit<Node, 'bytes' | 'onCpu' | 'way'>;

/** The node that gives an output its name; see `outputName`. */
export function renaming(value: string, output: string): Encodable {
  const name = outputName(output);
  return { name, op: 'Identity', domain: '', inputs: [value], output: name, attributes: {} };
}

export function encodeNode({ name, op, domain, inputs, output, attributes }: Encodable): Encoded[] {
  return [
    ...inputs.map((input) => text(nodeFields.input, input)),
    text(nodeFields.output, output),
    text(nodeFields.name, name),
    text(nodeFields.opType, op),
    ...Object.entries(attributes).map(([key, value]) => message(nodeFields.attribute, encodeAttribute(key, value))),
    text(nodeFields.domain, domain),
  ];
}

function encodeAttribute(name: string, attribute: Attribute): Encoded[] {
  const parts = [text(attributeFields.name, name)];
  if ('float' in attribute) {
    parts.push(float(attributeFields.float, attribute.float), integer(attributeFields.type, attributeTypes.float));
  } else if ('integer' in attribute) {
    parts.push(integer(attributeFields.integer, attribute.integer));
    parts.push(integer(attributeFields.type, attributeTypes.integer));
  } else if ('text' in attribute) {
    parts.push(text(attributeFields.text, attribute.text), integer(attributeFields.type, attributeTypes.text));
  } else {
    for (const value of attribute.integers) parts.push(integer(attributeFields.integers, value));
    parts.push(integer(attributeFields.type, attributeTypes.integers));
  }
  return parts;
}

/** @param root weights are named by their path below it */
export function encodeInitializer({ name, type, dims, content }: Initializer, root: string): Encoded[] {
  const head = [
    ...dims.map((dim) => integer(tensorFields.dims, dim)),
    integer(tensorFields.dataType, dataTypes[type]),
    text(tensorFields.name, name),
  ];
  if (content instanceof Uint8Array) return [...head, bytes(tensorFields.rawData, content)];
  const place = {
    location: relative(root, content.file).split(sep).join('/'),
    offset: content.offset,
    length: content.byteLength,
  };
  return [
    ...head,
    ...Object.entries(place).map(([key, value]) =>
      message(tensorFields.externalData, [text(entryFields.key, key), text(entryFields.value, String(value))]),
    ),
    integer(tensorFields.dataLocation, externalLocation),
  ];
}

export function encodeValue(name: string, type: TensorType, dims: readonly number[]): Encoded[] {
  // Open dimensions get no names: two of one name would count as equal.
  const shape = dims.map((dim) => message(typeFields.dim, dim === anySize ? [] : [integer(typeFields.dimValue, dim)]));
  return [
    text(valueFields.name, name),
    message(valueFields.type, [
      message(typeFields.tensorType, [
        integer(typeFields.elementType, dataTypes[type]),
        message(typeFields.shape, shape),
      ]),
    ]),
  ];
}
