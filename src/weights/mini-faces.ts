/** Small networks of what finds and reads faces, as `.onnx` files under the names of the published ones. */
import { antelopev2, detectorFile, embedderFile } from '../faces/antelopev2.ts';
import { type ArcfaceConfig, arcfaceGraph } from '../faces/arcface-network.ts';
import { type ScrfdConfig, scrfdGraph, scrfdOpenAxes } from '../faces/scrfd-network.ts';
import type { MiniRepositories } from './mini-file.ts';
import { type MiniOnnxNetwork, onnxFile } from './mini-onnx.ts';

const scrfd: ScrfdConfig = {
  stem: 8,
  stages: [1, 1, 1, 1].map((blocks) => ({ channels: 8, blocks })),
  neck: 8,
  head: { channels: 8, layers: 1 },
};

const arcface: ArcfaceConfig = {
  stem: 8,
  stages: [8, 8, 12, 16].map((channels) => ({ channels, blocks: 1 })),
  embedding: 512,
};

const detector: MiniOnnxNetwork = {
  config: scrfd,
  build: (weights) => scrfdGraph(scrfd, weights, 640),
  spread(name) {
    // So sure that there is no face that it finds none: whatever an untrained network found would be false.
    if (/\.stride_cls\..*\.bias$/.test(name)) return { centre: -20, deviation: 0 };
    return name.endsWith('.scale') ? { centre: 1, deviation: 0 } : undefined;
  },
  openAxes: scrfdOpenAxes,
};

const embedder: MiniOnnxNetwork = {
  config: arcface,
  build: (weights) => arcfaceGraph(arcface, weights),
  spread: (name) => (name.endsWith('prelu.weight') ? { centre: 0.25, deviation: 0.1 } : undefined),
};

export const miniFaces: MiniRepositories = {
  [antelopev2.repository]: [onnxFile(detectorFile, detector), onnxFile(embedderFile, embedder)],
};
