/**
 * PyTorch's container before 1.6: pickles one after another (a magic number, the protocol, facts about the machine, the
 * object, the keys of its storages), then for each key the count of values and the values. After pytorch/pytorch v2.1.0
 * torch/serialization.py `_legacy_load`.
 *
 * Not here: the tar container from before 0.1.10; storages that are views of others.
 */
import { realpath } from 'node:fs/promises';
import { unpickle } from './pickle.ts';
import { elementSizes, type TensorRef } from './safetensors.ts';
import { readTorchPickle, type TorchStorage } from './torch-objects.ts';
import { namedTensors } from './torch-tensors.ts';
import { longestPickle } from './torch-zip.ts';
import { fill, fillNow, openWeightFile, weightFault } from './weight-file.ts';

const magicNumber = 0x1950a86a20f9469cfc6cn;
const protocolVersion = 1001;

/** @throws WeightError naming the file and its fault */
export async function readTorchLegacy(path: string): Promise<ReadonlyMap<string, TensorRef>> {
  const handle = await openWeightFile(path);
  try {
    const fault = (reason: string): Error => weightFault(path, reason);
    const { size } = await handle.stat();
    const head = Buffer.alloc(Math.min(size, longestPickle));
    await fill(handle, head, 0, path);

    const plain = { globals: new Map(), persistent: () => undefined, fault };
    const magic = unpickle(head, 0, plain);
    if (magic.value !== magicNumber) {
      throw fault('it is a Python pickle but not one that PyTorch saved. Use these weights as .safetensors');
    }
    const protocol = unpickle(head, magic.end, plain);
    if (protocol.value !== protocolVersion)
      throw fault('it has another protocol than PyTorch writes. Download it again');
    const machine = unpickle(head, protocol.end, plain);
    if (!(machine.value instanceof Map) || machine.value.get('little_endian') !== true) {
      throw fault('its numbers are big-endian. Save it again on another machine');
    }
    const { value, storages, end } = readTorchPickle(head, machine.end, fault);
    const keys = unpickle(head, end, plain);

    let position = keys.end;
    const positions = new Map<TorchStorage, number>();
    for (const key of listed(keys.value, storages, fault)) {
      const count = Buffer.alloc(8);
      if (position + count.length > size) throw fault('it is cut short. Download it again');
      fillNow(handle, count, position, path);
      if (count.readBigUInt64LE() !== BigInt(key.count)) {
        throw fault(
          `it has ${count.readBigUInt64LE()} values of storage ${key.key} where ${key.count} belong. Download it again`,
        );
      }
      positions.set(key, position + count.length);
      position += count.length + key.count * elementSizes[key.dtype];
      if (position > size) throw fault('it is cut short. Download it again');
    }
    if (position !== size) throw fault(`it has ${size - position} bytes after its last storage. Download it again`);
    return namedTensors(value, { path, file: await realpath(path), positions });
  } finally {
    await handle.close();
  }
}

/** The storages in the order of their keys in the file, each once. */
function listed(
  keys: unknown,
  storages: ReadonlyMap<string, TorchStorage>,
  fault: (reason: string) => Error,
): TorchStorage[] {
  const found = new Set(Array.isArray(keys) ? keys.map((key) => storages.get(key)) : []);
  if (found.has(undefined) || found.size !== storages.size || found.size !== (keys as unknown[]).length) {
    throw fault('the keys of its storages are not those of its tensors. Download it again');
  }
  return [...found] as TorchStorage[];
}
