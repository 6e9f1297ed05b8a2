/**
 * What the pickles of PyTorch's weight files may name, and what it stands for here: storages and tensors that describe
 * where bytes lie. Everything that is not in this list makes the file an error (docs/decisions/pickled-weights.md).
 */
import { sizeOf } from '../math/tensor.ts';
import { type PickleGlobal, type PickleHost, unpickle } from './pickle.ts';
import type { Fault } from './pickle-bytes.ts';
import type { Dtype } from './safetensors.ts';

/** A run of values in the file. */
export interface TorchStorage {
  key: string;
  dtype: Dtype;
  count: number;
}

/** A view of a storage; offset and strides count elements. Nothing of it is checked against the storage yet. */
export interface TorchTensor {
  storage: TorchStorage;
  offset: number;
  shape: readonly number[];
  strides: readonly number[];
}

export interface TorchPickle {
  value: unknown;
  /** Every storage that the pickle names, by key. */
  storages: ReadonlyMap<string, TorchStorage>;
  end: number;
}

const storageTypes: Readonly<Record<string, Dtype>> = {
  FloatStorage: 'F32',
  HalfStorage: 'F16',
  BFloat16Storage: 'BF16',
  DoubleStorage: 'F64',
  LongStorage: 'I64',
  IntStorage: 'I32',
  ShortStorage: 'I16',
  CharStorage: 'I8',
  ByteStorage: 'U8',
  BoolStorage: 'BOOL',
};

/** What training tools leave beside the weights: it may stand in a file, and is passed over. */
const leftovers = [
  'numpy.core.multiarray.scalar',
  'numpy.core.multiarray._reconstruct',
  'numpy._core.multiarray.scalar',
  'numpy._core.multiarray._reconstruct',
  'numpy.dtype',
  'numpy.ndarray',
  '_codecs.encode',
  'argparse.Namespace',
  'pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint',
  'pytorch_lightning.callbacks.early_stopping.EarlyStopping',
  'torch.device',
  '__builtin__.set',
  'builtins.set',
];
/** Names of types and layouts, of which only the name is there. */
const words = ['float32', 'float16', 'bfloat16', 'float64', 'int64', 'int32', 'int16', 'int8', 'uint8', 'bool'];

const mostPairs = 400_000;
/** PyTorch's own limit. */
const mostAxes = 64;

const tensors = new WeakSet<object>();
const storages = new WeakSet<object>();

export function isTorchTensor(value: unknown): value is TorchTensor {
  return typeof value === 'object' && value !== null && tensors.has(value);
}

/** Reads one pickle of a weight file, from `start`. */
export function readTorchPickle(bytes: Uint8Array, start: number, fault: Fault): TorchPickle {
  const found = new Map<string, TorchStorage>();
  const globals = globalsOf(fault);
  const persistent: PickleHost['persistent'] = (id) => {
    const storage = storageOf(id, globals, fault);
    const known = found.get(storage.key);
    if (known) {
      if (known.dtype === storage.dtype && known.count === storage.count) return known;
      throw fault(`its storage ${storage.key} is described in two ways. Download it again`);
    }
    found.set(storage.key, storage);
    storages.add(storage);
    return storage;
  };
  return { storages: found, ...unpickle(bytes, start, { globals, persistent, fault }) };
}

function globalsOf(fault: Fault): ReadonlyMap<string, PickleGlobal> {
  const inert = (name: string): PickleGlobal => ({ name, inert: true, call: () => ({ name, inert: true }) });
  const tensor = (args: readonly unknown[]): TorchTensor => rebuildTensor(args, fault);
  const parameter = ([value]: readonly unknown[]): unknown => {
    if (!isTorchTensor(value)) throw fault('it has a parameter that is no tensor. Download it again');
    return value;
  };
  let budget = mostPairs;
  const map = ([pairs = []]: readonly unknown[]): Map<unknown, unknown> => {
    // One long list may be asked for again and again.
    budget -= Array.isArray(pairs) ? pairs.length : 0;
    if (budget < 0) throw fault(`it copies more than ${mostPairs} entries of maps`);
    return orderedDict(pairs, fault);
  };
  const globals: PickleGlobal[] = [
    { name: 'collections.OrderedDict', call: map },
    { name: 'torch._utils._rebuild_tensor', call: tensor },
    { name: 'torch._utils._rebuild_tensor_v2', call: tensor },
    { name: 'torch._utils._rebuild_parameter', call: parameter },
    { name: 'torch._utils._rebuild_parameter_with_state', call: parameter },
    { name: 'torch.Size', call: ([sizes]) => sizes },
    ...Object.keys(storageTypes).map((type) => ({ name: `torch.${type}` })),
    ...words.map((word) => ({ name: `torch.${word}` })),
    ...leftovers.map(inert),
  ];
  return new Map(globals.map((global) => [global.name, global]));
}

/** `('storage', type, key, where it was, count)`, in the oldest files with a view, which nothing has written since 0.4. */
function storageOf(id: unknown, globals: ReadonlyMap<string, PickleGlobal>, fault: Fault): TorchStorage {
  const [kind, type, key, , count, view] = Array.isArray(id) ? id : [];
  const { name } = (type ?? {}) as Partial<PickleGlobal>;
  const isKnown = name !== undefined && globals.get(name) === type;
  const dtype = isKnown ? storageTypes[name.slice('torch.'.length)] : undefined;
  if (kind !== 'storage' || !dtype || typeof key !== 'string' || !isCount(count) || (view ?? null) !== null) {
    throw fault('it refers to something outside itself that is no storage of numbers. Download it again');
  }
  return { key, dtype, count };
}

function rebuildTensor(args: readonly unknown[], fault: Fault): TorchTensor {
  const [storage, offset, shape, strides] = args;
  const isStorage = typeof storage === 'object' && storage !== null && storages.has(storage);
  if (!isStorage || !isCount(offset) || !isCounts(shape) || !isCounts(strides) || shape.length !== strides.length) {
    throw fault('it describes a tensor in a way that PyTorch does not. Download it again');
  }
  if (!Number.isSafeInteger(sizeOf(shape) * 8)) throw fault('it has a tensor too large to count. Download it again');
  const tensor = { storage: storage as TorchStorage, offset, shape, strides };
  tensors.add(tensor);
  return tensor;
}

/** Empty, or from a list of pairs, as Python 2 wrote it. */
function orderedDict(pairs: unknown, fault: Fault): Map<unknown, unknown> {
  const isPair = (pair: unknown): boolean => Array.isArray(pair) && pair.length === 2;
  if (!Array.isArray(pairs) || !pairs.every(isPair)) throw fault('it has a map of something else than pairs');
  return new Map(pairs as [unknown, unknown][]);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.length <= mostAxes && value.every(isCount);
}
