/**
 * Networks that are published as an `.onnx` file (onnx/onnx v1.16.0, onnx/onnx.proto3). Like the graphs that are built
 * here, one is loaded without its weights: they stay where they are in the file, and only what computes with them is
 * copied, after it was checked.
 *
 * Not here: functions, sparse weights, and loops, which nothing bounds; all are refused.
 */
import { realpath } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { TensorType } from '../math/tensor.ts';
import { type OnnxModel, outputName, type ValueInfo } from '../onnx/model.ts';
import {
  concat,
  dataTypes,
  type Encoded,
  graphFields,
  integer,
  message,
  modelFields,
  text,
  typeFields,
  valueFields,
} from '../onnx/proto.ts';
import { type ByteSource, notProto, protoFields } from '../onnx/proto-reader.ts';
import { encodeNode, encodeValue, irVersion, renaming } from '../onnx/write.ts';
import { checkNode } from './onnx-node.ts';
import { nameAt, readInitializer } from './onnx-tensor.ts';
import { fillNow, openWeightFile, weightFault } from './weight-file.ts';

/** An input or output as the file describes it. */
export interface OpenValue {
  name: string;
  type: TensorType;
  /** `undefined` in place of a dimension that the file leaves open; `undefined` when it leaves all of them open. */
  dims: readonly (number | undefined)[] | undefined;
}

export interface OnnxFile {
  inputs: readonly OpenValue[];
  outputs: readonly OpenValue[];
  /** The network for inputs of these shapes, with these of its outputs. */
  model(inputs: readonly ValueInfo[], outputs: readonly ValueInfo[]): OnnxModel;
}

/** More than protobuf can hold. */
const largestFile = 2 ** 31;
/** Of all that is no weight. That of a network with 2,000 layers is about one megabyte. */
const largestStructure = 256 << 20;

/** @throws WeightError naming the file and its fault */
export async function readOnnxFile(path: string): Promise<OnnxFile> {
  const handle = await openWeightFile(path);
  try {
    const fault = (reason: string): Error => weightFault(path, reason);
    const { size } = await handle.stat();
    if (size === 0 || size >= largestFile) throw fault(`it has ${size} bytes, which no ONNX file has`);
    const file = await realpath(path);
    const source = throughWindow((bytes, position) => fillNow(handle, bytes, position, path), size);
    const parts = readModel(source, size, file, fault);
    return {
      inputs: parts.inputs,
      outputs: parts.outputs,
      model(inputs, outputs) {
        const bytes = encodeModel(parts, inputs, outputs);
        return {
          bytes,
          fusedBytes: () => bytes,
          basicBytes: () => bytes,
          cpuNodes: [],
          inputs,
          outputs,
          memory: { weights: size, working: 0 },
          externalDataFolder: dirname(file),
          file,
        };
      },
    };
  } finally {
    await handle.close();
  }
}

const windowLength = 1 << 16;

/** Small reads that follow each other come from one large one. */
function throughWindow(read: (bytes: Uint8Array, position: number) => void, size: number): ByteSource {
  let start = 0;
  let window = new Uint8Array(0);
  return {
    slice(first, end) {
      if (first < start || end > start + window.length) {
        window = new Uint8Array(Math.max(end - first, Math.min(windowLength, size - first)));
        start = first;
        read(window, start);
      }
      return window.subarray(first - start, end - start);
    },
  };
}

interface Parts {
  opsets: Encoded[];
  /** Nodes and weights, as fields of the graph. */
  fields: Encoded[];
  inputs: OpenValue[];
  outputs: OpenValue[];
}

type Fault = (reason: string) => Error;

function readModel(source: ByteSource, size: number, file: string, fault: Fault): Parts {
  let structure = 0;
  const copy = (start: number, end: number): Uint8Array => {
    structure += end - start;
    if (structure > largestStructure) {
      throw fault(`more than ${largestStructure} bytes of it are no weights that can stay in the file`);
    }
    return source.slice(start, end).slice();
  };

  const parts: Parts = { opsets: [], fields: [], inputs: [], outputs: [] };
  let graph: { content: number; end: number } | undefined;
  for (const { number, start, content, end, hasLength } of protoFields(source, 0, size, fault)) {
    if (!hasLength) continue;
    if (number === modelFields.functions) throw fault('it defines functions, which are not supported');
    if (number === modelFields.opsetImport) parts.opsets.push(copy(start, end));
    if (number === modelFields.graph) {
      if (graph) throw fault('it holds two graphs');
      graph = { content, end };
    }
  }
  if (!graph) throw fault(notProto);

  const weights = new Set<string>();
  const folder = dirname(file);
  for (const field of protoFields(source, graph.content, graph.end, fault)) {
    const { number, start, content, end } = field;
    if (!field.hasLength) continue;
    if (number === graphFields.sparseInitializer) throw fault('it has sparse weights, which are not supported');
    if (number === graphFields.node) {
      const bytes = copy(start, end);
      checkNode(bytes.subarray(content - start), fault);
      parts.fields.push(bytes);
    }
    if (number === graphFields.initializer) {
      const { name, encoded } = readInitializer(source, content, end, {
        location: basename(file),
        folder,
        copy,
        fault,
      });
      weights.add(name);
      parts.fields.push(message(graphFields.initializer, encoded));
    }
    if (number === graphFields.input) parts.inputs.push(readValue(source, content, end, fault));
    if (number === graphFields.output) parts.outputs.push(readValue(source, content, end, fault));
  }
  // Old files name their weights among the inputs too, so that they could be replaced.
  parts.inputs = parts.inputs.filter(({ name }) => !weights.has(name));
  return parts;
}

const typesByNumber = new Map<number, TensorType>(
  (['float32', 'uint8', 'int32', 'int64', 'bool', 'float16'] as const).map((type) => [dataTypes[type], type]),
);

function readValue(source: ByteSource, start: number, end: number, fault: Fault): OpenValue {
  let name = '';
  let type: TensorType | undefined;
  let dims: (number | undefined)[] | undefined;
  for (const field of protoFields(source, start, end, fault)) {
    if (field.number === valueFields.name) name = nameAt(source, field, fault);
    if (field.number !== valueFields.type) continue;
    for (const kind of protoFields(source, field.content, field.end, fault)) {
      if (kind.number !== typeFields.tensorType || !kind.hasLength) continue;
      for (const part of protoFields(source, kind.content, kind.end, fault)) {
        if (part.number === typeFields.elementType) type = typesByNumber.get(part.value);
        if (part.number === typeFields.shape) dims = readShape(source, part.content, part.end, fault);
      }
    }
  }
  if (type === undefined) throw fault(`its "${name}" is no tensor of a type that is supported`);
  return { name, type, dims };
}

function readShape(source: ByteSource, start: number, end: number, fault: Fault): (number | undefined)[] {
  return [...protoFields(source, start, end, fault)]
    .filter(({ number }) => number === typeFields.dim)
    .map((dim) => {
      const fields = [...protoFields(source, dim.content, dim.end, fault)];
      const value = fields.find(({ number }) => number === typeFields.dimValue)?.value;
      // Zero and -1 are how some programs say that they do not know.
      return value !== undefined && value > 0 && value < largestFile ? value : undefined;
    });
}

/** The inputs get the shapes that they will have, as far as they are known, so that ONNX Runtime can plan ahead. */
function encodeModel(parts: Parts, inputs: readonly ValueInfo[], outputs: readonly ValueInfo[]): Uint8Array {
  return concat([
    integer(modelFields.irVersion, irVersion),
    ...parts.opsets,
    message(modelFields.graph, [
      ...parts.fields,
      ...outputs.map(({ name }) => message(graphFields.node, encodeNode(renaming(name, name)))),
      text(graphFields.name, 'published'),
      ...inputs.map(({ name, type, dims }) => message(graphFields.input, encodeValue(name, type, dims))),
      ...outputs.map(({ name, type, dims }) => message(graphFields.output, encodeValue(outputName(name), type, dims))),
    ]),
  ]);
}
