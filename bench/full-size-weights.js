/**
 * Files of random numbers with the names and shapes of the published weights, laid out as repositories are: what
 * DARKROOM_WEIGHTS_PATH takes. Their time and memory are those of the real ones; their pictures are noise.
 *
 *   npm run build && node bench/full-size-weights.js <folder> [model …]
 *
 * Writes once, for all models some 51 GB; files that are there stay. Which files a model needs, and how much that is:
 * full-size-files.js. The shapes are those that the tests check every network against.
 */
import { existsSync, readFileSync } from 'node:fs';
import { link, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { arcface100, arcfaceGraph } from '../dist/faces/arcface-network.js';
import { scrfd10g, scrfdGraph, scrfdInput, scrfdOutputs } from '../dist/faces/scrfd-network.js';
import { writeWhole } from '../dist/weights/mini-file.js';
import { inventWeights } from '../dist/weights/random-weights.js';
import { wholeModel } from '../dist/weights/write-onnx.js';
import { fullSizeFiles } from './full-size-files.js';

/** @returns nothing; `folder` holds every file of the models afterwards */
export async function writeFullSizeWeights(folder, models = Object.keys(fullSizeFiles)) {
  for (const file of models.flatMap((model) => fullSizeFiles[model])) {
    const [first, ...others] = file.paths.map((path) => join(folder, path));
    await place(first, () => write(file, first));
    for (const other of others) await place(other, () => link(first, other));
  }
}

async function place(path, make) {
  if (existsSync(path)) return;
  await mkdir(dirname(path), { recursive: true });
  await make();
}

async function write({ json, face, tensors }, path) {
  if (json) await writeFile(path, JSON.stringify(json));
  else if (face) await writeFaceNetwork(face, path);
  else await writeTensors(tensors, path);
}

async function writeTensors(parts, path) {
  const { weights, write } = inventWeights(special);
  for (const { recorded, prefix = '' } of parts) {
    const fixture = fileURLToPath(new URL(`../test/fixtures/${recorded}`, import.meta.url));
    for (const [name, entry] of Object.entries(JSON.parse(readFileSync(fixture, 'utf8')))) {
      const [type, shape] = typeof entry[0] === 'string' ? entry : ['F32', entry];
      if (type !== 'I64') weights.tensor(prefix + name, shape);
    }
  }
  await write(path, parts.map(({ recorded }) => recorded).join());
}

function special(name) {
  if (name.endsWith('.alpha')) return { centre: 8, deviation: 0 };
  // Nothing is as like a concept as this, so that no picture is taken for unsafe.
  if (name.endsWith('embeds_weights')) return { centre: 2, deviation: 0 };
  return undefined;
}

async function writeFaceNetwork(face, path) {
  const { weights, tensors } = inventWeights(oneFace);
  const graph = face === 'detector' ? scrfdGraph(scrfd10g, weights, 640) : arcfaceGraph(arcface100, weights);
  const openAxes = { [scrfdInput]: [2, 3], ...Object.fromEntries(scrfdOutputs.map((name) => [name, [0]])) };
  await writeWhole(path, wholeModel(graph, tensors(face), face === 'detector' ? openAxes : {}));
}

/**
 * The detector finds the same face at every place of its coarsest grid, so large that all of them are one: its box is
 * far beyond any picture, its points lie where they happen to.
 */
function oneFace(name) {
  const always = { centre: 3, deviation: 0 };
  const never = { centre: -20, deviation: 0 };
  const layer = /\.stride_(cls|reg)\.\((\d+), \d+\)\.(weight|bias)$/.exec(name);
  if (layer?.[3] === 'weight') return { centre: 0, deviation: 0 };
  if (layer?.[1] === 'cls') return layer[2] === '32' ? always : never;
  if (layer?.[1] === 'reg') return { centre: 60, deviation: 0 };
  if (name.endsWith('.scale')) return { centre: 1, deviation: 0 };
  if (name.endsWith('prelu.weight')) return { centre: 0.25, deviation: 0.1 };
  return undefined;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [folder, ...models] = process.argv.slice(2);
  if (!folder) throw new Error('Name a folder: node bench/full-size-weights.js <folder> [model …]');
  await writeFullSizeWeights(resolve(folder), models.length > 0 ? models : undefined);
}
