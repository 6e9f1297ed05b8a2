import { attributeFields, graphFields, nodeFields, tensorFields } from '../onnx/proto.ts';
import { inMemory, protoFields } from '../onnx/proto-reader.ts';

type Fault = (reason: string) => Error;

/** How deep graphs lie in the nodes of graphs; branches of published networks are one deep. */
const deepest = 4;

const loops = ['Loop', 'Scan', 'SequenceMap'];

/**
 * A node of a graph, with the tensors and graphs in its attributes: none may take its values from a file, which could be
 * any that this process may read, and none may be a loop.
 */
export function checkNode(bytes: Uint8Array, fault: Fault, depth = 0): void {
  if (depth > deepest) throw fault('its graphs lie too deep in each other');
  for (const { number, content, end, hasLength } of fieldsOf(bytes, fault)) {
    if (!hasLength) continue;
    if (number === nodeFields.opType) {
      const operator = Buffer.from(bytes.subarray(content, end)).toString('utf8');
      if (loops.includes(operator)) throw fault(`it has a loop ("${operator}"), which might never end`);
    }
    if (number === nodeFields.attribute) checkAttribute(bytes.subarray(content, end), fault, depth);
  }
}

function checkAttribute(bytes: Uint8Array, fault: Fault, depth: number): void {
  for (const { number, content, end, hasLength } of fieldsOf(bytes, fault)) {
    if (!hasLength) continue;
    const inner = bytes.subarray(content, end);
    if (number === attributeFields.tensor || number === attributeFields.tensors) checkTensor(inner, fault);
    if (number === attributeFields.graph || number === attributeFields.graphs) checkGraph(inner, fault, depth + 1);
    if (number === attributeFields.sparseTensor || number === attributeFields.sparseTensors) {
      throw fault('it has sparse weights, which are not supported');
    }
  }
}

function checkGraph(bytes: Uint8Array, fault: Fault, depth: number): void {
  for (const { number, content, end, hasLength } of fieldsOf(bytes, fault)) {
    if (!hasLength) continue;
    const inner = bytes.subarray(content, end);
    if (number === graphFields.node) checkNode(inner, fault, depth);
    if (number === graphFields.initializer) checkTensor(inner, fault);
    if (number === graphFields.sparseInitializer) throw fault('it has sparse weights, which are not supported');
  }
}

function checkTensor(bytes: Uint8Array, fault: Fault): void {
  for (const { number, value, hasLength } of fieldsOf(bytes, fault)) {
    const isElsewhere = number === tensorFields.dataLocation && !hasLength && value !== 0;
    if (isElsewhere || number === tensorFields.externalData) {
      throw fault('a constant of it lies in another file. Only weights may');
    }
  }
}

function fieldsOf(bytes: Uint8Array, fault: Fault) {
  return protoFields(inMemory(bytes), 0, bytes.length, fault);
}
