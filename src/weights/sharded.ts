/**
 * A weight file that is split into several (`…-00001-of-00002.safetensors`) with an index beside them:
 * `{"metadata": …, "weight_map": {tensor: file}}`, as huggingface/transformers and diffusers write it.
 *
 * `metadata.total_size` is not compared: it counts shared tensors and rounds types differently from version to version.
 */
import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { duplicateKey } from './duplicate-key.ts';
import type { TensorRef } from './safetensors.ts';
import { weightFault } from './weight-file.ts';

const longestIndex = 32 << 20;

/** @throws WeightError when a part is missing, or index and parts do not agree on every name */
export async function readSharded(
  path: string,
  readPart: (path: string) => Promise<ReadonlyMap<string, TensorRef>>,
): Promise<ReadonlyMap<string, TensorRef>> {
  const index = await readIndex(path);
  const tensors = new Map<string, TensorRef>();
  for (const file of new Set(index.values())) {
    const part = join(dirname(path), file);
    for (const [name, tensor] of await readPart(part)) {
      if (index.get(name) !== file) {
        throw weightFault(path, `it ${whereabouts(index.get(name))} "${name}", which lies in ${file}. ${remedy}`);
      }
      tensors.set(name, tensor);
    }
  }
  for (const [name, file] of index) {
    if (!tensors.has(name)) throw weightFault(path, `it looks for "${name}" in ${file}, which lacks it. ${remedy}`);
  }
  return tensors;
}

/** The files that the index names, beside it. @throws WeightError */
export async function shardFiles(path: string): Promise<string[]> {
  return [...new Set((await readIndex(path)).values())].map((file) => join(dirname(path), file));
}

const remedy = 'Download the index and all its parts again, of one revision';

function whereabouts(file: string | undefined): string {
  return file === undefined ? 'does not know' : `looks in ${file} for`;
}

async function readIndex(path: string): Promise<ReadonlyMap<string, string>> {
  const { size } = await stat(path);
  if (size > longestIndex) throw weightFault(path, `it is an index of ${size} bytes, above the limit`);
  const text = await readFile(path, 'utf8');
  let json: { weight_map?: unknown } | null;
  try {
    json = JSON.parse(text);
  } catch {
    throw weightFault(path, `it is an index that is not JSON. ${remedy}`);
  }
  const twice = duplicateKey(text);
  if (twice !== undefined) throw weightFault(path, `it names "${twice}" twice. ${remedy}`);
  const map = json?.weight_map;
  if (typeof map !== 'object' || map === null || Array.isArray(map)) {
    throw weightFault(path, 'it is JSON without a weight_map, so not an index of weights');
  }
  const entries = Object.entries(map);
  for (const [name, file] of entries) {
    // A part lies beside its index; a path could lead anywhere on this disk.
    if (typeof file !== 'string' || !/^[\w][\w.-]*$/.test(file)) {
      const shown = typeof file === 'object' ? 'lists or maps' : JSON.stringify(file);
      throw weightFault(path, `it looks for "${name}" in ${shown}, which is not a file beside it`);
    }
  }
  if (entries.length === 0) throw weightFault(path, 'its weight_map is empty');
  return new Map(entries as [string, string][]);
}
