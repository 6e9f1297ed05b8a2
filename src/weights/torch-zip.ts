/**
 * PyTorch's container since 1.6: a zip file with `<any name>/data.pkl` (the object, pickled), `<any name>/data/<key>`
 * (the storages' bytes), `version` and, in newer files, `byteorder`. After pytorch/pytorch v2.1.0
 * torch/serialization.py `_load`.
 *
 * Not here: TorchScript programs (`torch.jit.save`), which share the container.
 */
import { realpath } from 'node:fs/promises';
import { elementSizes, type TensorRef } from './safetensors.ts';
import { readTorchPickle, type TorchStorage } from './torch-objects.ts';
import { namedTensors } from './torch-tensors.ts';
import { fill, openWeightFile, weightFault } from './weight-file.ts';
import { readZipDirectory } from './zip-directory.ts';

/** Far above what any model has: 2,500 tensors take 0.3 MB. */
export const longestPickle = 16 << 20;

/** @throws WeightError naming the file and its fault */
export async function readTorchZip(path: string): Promise<ReadonlyMap<string, TensorRef>> {
  const handle = await openWeightFile(path);
  try {
    const fault = (reason: string): Error => weightFault(path, reason);
    const entries = await readZipDirectory(handle, (await handle.stat()).size, path);

    /** The bytes of a small entry. */
    const read = async (name: string, limit: number): Promise<Buffer | undefined> => {
      const entry = entries.get(name);
      if (!entry) return undefined;
      if (entry.size > limit) throw fault(`its entry "${name}" has ${entry.size} bytes, above the limit of ${limit}`);
      const bytes = Buffer.alloc(entry.size);
      await fill(handle, bytes, entry.offset, path);
      return bytes;
    };

    const root = rootOf(entries.keys(), path);
    if (entries.has(`${root}/constants.pkl`)) {
      throw fault('it is a TorchScript program and not a file of weights. Use the weights it was made from');
    }
    const order = (await read(`${root}/byteorder`, 16))?.toString('latin1') ?? 'little';
    if (order !== 'little') throw fault(`its numbers are ${order}-endian. Save it again on another machine`);
    const pickle = (await read(`${root}/data.pkl`, longestPickle))!;
    const { value, storages } = readTorchPickle(pickle, 0, fault);

    const positions = new Map<TorchStorage, number>();
    for (const storage of storages.values()) {
      const entry = entries.get(`${root}/data/${storage.key}`);
      const size = storage.count * elementSizes[storage.dtype];
      if (entry?.size !== size) {
        throw fault(
          `it has ${entry?.size ?? 'no'} bytes of storage ${storage.key} where ${size} belong. Download it again`,
        );
      }
      positions.set(storage, entry.offset);
    }
    return namedTensors(value, { path, file: await realpath(path), positions });
  } finally {
    await handle.close();
  }
}

function rootOf(names: Iterable<string>, path: string): string {
  const roots: string[] = [];
  for (const name of names) if (/^[^/]+\/data\.pkl$/.test(name)) roots.push(name.slice(0, name.indexOf('/')));
  if (roots.length === 1) return roots[0]!;
  throw weightFault(
    path,
    roots.length === 0
      ? 'it is a zip file without a data.pkl, so not one of PyTorch. If it is a packed folder, unpack it'
      : `it has ${roots.length} entries data.pkl. Download it again`,
  );
}
