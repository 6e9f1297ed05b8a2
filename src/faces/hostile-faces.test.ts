/** Pictures and weight files that are out of the ordinary: a clear outcome each. */
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { faceCases, facePath, makePicture } from '../../test/support/face-fixtures.ts';
import { RuntimeFailure, WeightError } from '../base/errors.ts';
import { largestPixelCount, type RgbImage } from '../base/image.ts';
import type { Graph } from '../onnx/graph.ts';
import { createResidency, type Residency } from '../runtime/residency.ts';
import { inventWeights, type Spread } from '../weights/random-weights.ts';
import type { Weights } from '../weights/scope.ts';
import { wholeModel } from '../weights/write-onnx.ts';
import { detectorFile, embedderFile } from './antelopev2.ts';
import { arcfaceGraph } from './arcface-network.ts';
import { centreFace } from './centre-face.ts';
import { detectFaces } from './detect.ts';
import { embedFace } from './embed.ts';
import { scrfdGraph, scrfdOpenAxes } from './scrfd-network.ts';

const own = facePath('antelopev2');
let residency: Residency;
let folder: string;

beforeAll(async () => {
  residency = createResidency({ device: 'cpu' });
  folder = await mkdtemp(join(tmpdir(), 'darkroom-faces-'));
});
afterAll(async () => {
  await residency.close();
  await rm(folder, { recursive: true });
});

function picture(width: number, height: number): RgbImage {
  const data = new Uint8Array(3 * width * height);
  const row = Uint8Array.from({ length: Math.min(3 * width, 30_000) }, (_, index) => (index * 37 + (index >> 9)) % 256);
  for (let at = 0; at < data.length; at += row.length) data.set(row.subarray(0, data.length - at), at);
  return { width, height, channels: 3, data };
}

test.each([
  [1, 1],
  [2, 1],
  [10_000, 50],
  [50, 10_000],
  [640, 1],
])('a picture of %i × %i pixels is looked at', async (width, height) => {
  const small = picture(width, height);
  for (const { box, points } of await detectFaces(small, 640, own, residency)) {
    expect([...box, ...points.flat()].every(Number.isFinite)).toBe(true);
    expect((await embedFace(small, { points }, own, residency)).length).toBe(512);
  }
});

test.each([
  [641, 1],
  [1, 700],
  [largestPixelCount, 1],
])('a strip of %i × %i pixels, of which the detector would see nothing, has no faces', async (width, height) => {
  expect(await detectFaces(picture(width, height), 640, own, residency)).toEqual([]);
});

test('the largest picture that is accepted', async () => {
  const large = picture(10_000, largestPixelCount / 10_000);
  await detectFaces(large, 640, own, residency);
  const face = centreFace(large.width, large.height);
  expect((await embedFace(large, face, own, residency)).length).toBe(512);
});

test.each([0, -32, 600, 640.5, Number.NaN])('a detector of %d pixels is a fault of the program', async (size) => {
  await expect(detectFaces(picture(9, 9), size, own, residency)).rejects.toThrow(RangeError);
});

async function refused(run: Promise<unknown>, reason: RegExp): Promise<void> {
  await expect(run).rejects.toThrow(reason);
  await expect(run).rejects.toBeInstanceOf(WeightError);
}

test('a file that holds another network is refused, and the message shows both', async () => {
  await copyFile(join(own, embedderFile), join(folder, detectorFile));
  await copyFile(join(own, detectorFile), join(folder, embedderFile));
  const [small, { points }] = [picture(99, 70), centreFace(99, 70)];
  await refused(detectFaces(small, 640, folder, residency), /scrfd_10g.* holds another network.*input\.1.*112, 112\]/);
  await refused(embedFace(small, { points }, folder, residency), /glintr100.* holds another network.*448.*\[1, 512\]/s);
});

test.each([
  ['no network', Buffer.from('<!doctype html><title>404</title>'), /not an ONNX file/],
  ['empty', Buffer.alloc(0), /0 bytes/],
])('a file that is %s is refused', async (_, content, reason) => {
  await writeFile(join(folder, detectorFile), content);
  await writeFile(join(folder, embedderFile), content);
  await refused(detectFaces(picture(99, 70), 640, folder, residency), reason);
  await refused(embedFace(picture(99, 70), centreFace(99, 70), folder, residency), reason);
});

type Special = (name: string) => Spread | undefined;

async function writeDetector(special: Special): Promise<void> {
  const stages = [4, 4, 4, 4].map((channels) => ({ channels, blocks: 1 }));
  const config = { stem: 4, stages, neck: 4, head: { channels: 4, layers: 1 } };
  await write(detectorFile, special, (weights) => scrfdGraph(config, weights, 320), scrfdOpenAxes);
}

async function write(file: string, special: Special, build: (weights: Weights) => Graph, openAxes = {}) {
  const { weights, tensors } = inventWeights(special);
  const graph = build(weights);
  await writeFile(join(folder, file), wholeModel(graph, tensors(''), openAxes));
}

test.each<[string, Special]>([
  ['scores', (name) => (name.includes('stride_cls.') ? { centre: Number.NaN, deviation: 0 } : undefined)],
  [
    'boxes',
    (name) => {
      if (/stride_cls.*bias/.test(name)) return { centre: 9, deviation: 0 };
      return /stride_reg.*bias/.test(name) ? { centre: Number.POSITIVE_INFINITY, deviation: 0 } : undefined;
    },
  ],
])('a detector that returns no numbers as %s is damaged', async (_, special) => {
  await writeDetector(special);
  const detected = detectFaces(picture(320, 200), 320, folder, residency);
  await expect(detected).rejects.toBeInstanceOf(RuntimeFailure);
  await expect(detected).rejects.toThrow(/face detector.*damaged: download antelopev2 again/);
});

test('an embedder that returns no numbers is damaged', async () => {
  const stages = [4, 4, 4, 4].map((channels) => ({ channels, blocks: 1 }));
  const special: Special = (name) => (name === 'fc.bias' ? { centre: Number.NaN, deviation: 0 } : undefined);
  await write(embedderFile, special, (weights) => arcfaceGraph({ stem: 4, stages, embedding: 512 }, weights));
  const embedded = embedFace(picture(99, 70), centreFace(99, 70), folder, residency);
  await expect(embedded).rejects.toBeInstanceOf(RuntimeFailure);
  await expect(embedded).rejects.toThrow(/face embedder.*damaged: download antelopev2 again/);
});

test('a drawing, a face of twenty pixels and one over the corner are read', async () => {
  const drawing = picture(300, 200);
  for (let index = 0; index < drawing.data.length; index++) drawing.data[index] = index % 97 < 4 ? 0 : 255;
  const portrait = await makePicture({ photo: 'eileen-collins.jpg' });
  const cases = faceCases<{ name: string; points: [number, number][] }>('alignments.json');
  for (const name of ['of twenty pixels', 'over the corner', 'outside']) {
    const face = cases.find((one) => one.name === name)!;
    expect((await embedFace(portrait, face, own, residency)).length, name).toBe(512);
  }
  expect((await embedFace(drawing, centreFace(300, 200), own, residency)).length).toBe(512);
});
