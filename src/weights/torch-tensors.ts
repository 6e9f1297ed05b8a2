/**
 * From the object of a PyTorch file to named tensors.
 *
 * The names: a weight file holds a map from names to tensors, which may lie in other maps. Names on the way to a tensor
 * are joined by dots, so the map `image_proj` of a file is what stands below `image_proj.` here. One level is left out:
 * where a training tool has put the weights beside its own state (step counts, optimizers, copies), the first of
 * `wrappers` that holds tensors is the whole content. What is no tensor is passed over.
 */
import { sizeOf } from '../math/tensor.ts';
import { elementSizes, type TensorRef } from './safetensors.ts';
import { isTorchTensor, type TorchStorage, type TorchTensor } from './torch-objects.ts';
import { longestName, weightFault } from './weight-file.ts';

const wrappers = ['state_dict', 'model_state_dict', 'model', 'params_ema', 'params'];

const deepest = 16;
/** Maps may be shared, so a small file can describe a tree that has no end in practice. */
const mostEntries = 400_000;

export interface TorchPlace {
  /** As the user named the file, for messages. */
  path: string;
  /** Its real path. */
  file: string;
  /** Where the values of a storage begin in the file. */
  positions: ReadonlyMap<TorchStorage, number>;
}

/** @throws WeightError when there is no map of tensors, or a tensor does not lie in one piece inside its storage */
export function namedTensors(value: unknown, place: TorchPlace): Map<string, TensorRef> {
  let budget = mostEntries;
  const tensors = new Map<string, TensorRef>();

  /** Calls `visit` for every tensor below; false stops. One text may be a key again and again, in names without end. */
  const walk = (
    node: unknown,
    name: string,
    depth: number,
    visit: (name: string, tensor: TorchTensor) => boolean,
  ): boolean => {
    if (isTorchTensor(node)) {
      if (name.length <= longestName) return visit(name, node);
      throw weightFault(place.path, `it has a name of ${name.length} letters, above the limit of ${longestName}`);
    }
    const entries = node instanceof Map ? node : Array.isArray(node) ? node.entries() : undefined;
    if (!entries) return true;
    if (depth >= deepest) throw weightFault(place.path, `its maps lie more than ${deepest} deep in each other`);
    for (const [key, below] of entries) {
      if (--budget < 0) throw weightFault(place.path, `it has more than ${mostEntries} entries`);
      const isName = typeof key === 'string' || typeof key === 'number';
      if (isName && !walk(below, depth === 0 ? String(key) : `${name}.${key}`, depth + 1, visit)) return false;
    }
    return true;
  };

  const content = value instanceof Map ? unwrap(value, (node) => !walk(node, '', 0, () => false)) : undefined;
  walk(content, '', 0, (name, tensor) => {
    if (tensors.has(name)) throw weightFault(place.path, `it names "${name}" twice`);
    tensors.set(name, tensorRef(name, tensor, place));
    return true;
  });
  if (tensors.size === 0)
    throw weightFault(place.path, 'it holds no map of tensors. Check that it is a file of weights');
  return tensors;
}

function unwrap(value: Map<unknown, unknown>, holdsTensors: (node: unknown) => boolean): unknown {
  const wrapper = wrappers.find((name) => value.get(name) instanceof Map && holdsTensors(value.get(name)));
  return wrapper ? value.get(wrapper) : value;
}

function tensorRef(name: string, { storage, offset, shape, strides }: TorchTensor, place: TorchPlace): TensorRef {
  const { dtype, count } = storage;
  const size = elementSizes[dtype];
  const values = sizeOf(shape);
  const layout = layoutOf(shape, strides);
  if (!layout) {
    throw weightFault(
      place.path,
      `its tensor "${name}" is a view with gaps or repeats ([${shape.join(', ')}] by steps of [${strides.join(', ')}]). ` +
        'Save it again from PyTorch after tensor.contiguous()',
    );
  }
  if (values > count || offset > count - values) {
    throw weightFault(place.path, `its tensor "${name}" is larger than its storage. Download it again`);
  }
  const position = place.positions.get(storage)!;
  const reference = {
    name,
    file: place.file,
    offset: position + offset * size,
    byteLength: values * size,
    dtype,
    shape,
  };
  return layout === 'rows' ? reference : { ...reference, axes: layout };
}

/**
 * `rows` where the last axis runs fastest and so on, the order of the axes in the file where that is another one (a
 * transposed matrix, `channels_last`), `undefined` where the values do not lie side by side.
 */
function layoutOf(shape: readonly number[], strides: readonly number[]): 'rows' | number[] | undefined {
  if (sizeOf(shape) <= 1) return 'rows';
  const isDense = (axes: readonly number[]): boolean => {
    let step = 1;
    for (const axis of axes.toReversed()) {
      // Where an axis has one place, its stride has no meaning.
      if (shape[axis] !== 1 && strides[axis] !== step) return false;
      step *= shape[axis]!;
    }
    return true;
  };
  const own = shape.map((_, axis) => axis);
  if (isDense(own)) return 'rows';
  const ordered = own.toSorted(
    (a, b) => Number(shape[b] === 1) - Number(shape[a] === 1) || strides[b]! - strides[a]! || a - b,
  );
  return isDense(ordered) ? ordered : undefined;
}
