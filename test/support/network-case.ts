import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Tensor } from '../../src/math/tensor.ts';
import { clipTextModel } from '../../src/networks/clip-text.ts';
import {
  type ControlnetConfig,
  clipTextConfig,
  controlnetConfig,
  unetConfig,
  vaeDecoderConfig,
} from '../../src/networks/config.ts';
import { unetModel } from '../../src/networks/unet.ts';
import { vaeDecoderModel } from '../../src/networks/vae-decoder.ts';
import type { OnnxModel } from '../../src/onnx/model.ts';
import { openSession } from '../../src/runtime/session.ts';
import { readConfig } from '../../src/weights/network-files.ts';
import { readTensor } from '../../src/weights/read-tensor.ts';
import { readSafetensors } from '../../src/weights/safetensors.ts';
import { type NetworkWeights, openWeights } from '../../src/weights/scope.ts';

/** Weights, inputs and the reference's outputs of one network, as `tools/reference/README.md` describes them. */
export interface NetworkCase {
  network: 'clip-text' | 'unet' | 'vae-decoder';
  config: string;
  weights: string[];
  inputs: string;
  expected: string;
  options: { controlnets?: { config: string; weights: string[]; scale: number }[] };
  tolerance: { relL2: number };
}

type Tensors = Record<string, Tensor>;

/** What a test changes about a case. */
export interface CaseChanges {
  inputs?: (inputs: Tensors) => Tensors;
  controlnetConfig?: (config: ControlnetConfig) => ControlnetConfig;
}

export interface CaseResult {
  actual: Tensors;
  expected: Tensors;
  tolerance: { relL2: number };
}

/** Runs a case and returns what came out beside what should have come out. */
export async function runNetworkCase(path: string, changes: CaseChanges = {}): Promise<CaseResult> {
  const found = JSON.parse(await readFile(path, 'utf8')) as NetworkCase;
  const folder = dirname(path);
  const recorded = await readTensors(join(folder, found.inputs));
  const inputs = changes.inputs?.(recorded) ?? recorded;
  const session = await openSession(await buildModel(found, folder, inputs, changes), 'cpu');
  try {
    const actual = await session.run(inputs);
    return { actual, expected: await readTensors(join(folder, found.expected)), tolerance: found.tolerance };
  } finally {
    await session.close();
  }
}

async function buildModel(
  found: NetworkCase,
  folder: string,
  inputs: Tensors,
  changes: CaseChanges,
): Promise<OnnxModel> {
  const open = async (entry: { config: string; weights: string[] }): Promise<[unknown, NetworkWeights]> => [
    await readConfig(join(folder, entry.config)),
    await openWeights(entry.weights.map((file) => join(folder, file))),
  ];
  const [json, weights] = await open(found);
  if (found.network === 'clip-text') {
    return clipTextModel({ config: clipTextConfig(json, weights), weights }, { batch: inputs.input_ids!.dims[0]! });
  }
  const [batch, , height, width] = inputs.sample!.dims as [number, number, number, number];
  if (found.network === 'vae-decoder') {
    return vaeDecoderModel({ config: vaeDecoderConfig(json, weights), weights }, { batch, height, width });
  }
  const controlnets = (found.options.controlnets ?? []).map(async (entry, index) => {
    const [controlJson, controlWeights] = await open(entry);
    const conditionBatch = inputs[`controlnet_cond.${index}`]!.dims[0]!;
    const config = controlnetConfig(controlJson, controlWeights);
    return {
      config: changes.controlnetConfig?.(config) ?? config,
      weights: controlWeights,
      scale: entry.scale,
      conditionBatch,
    };
  });
  const shape = { batch, height, width, textLength: inputs.encoder_hidden_states!.dims[1]! };
  return unetModel({ config: unetConfig(json, weights), weights }, shape, await Promise.all(controlnets));
}

export async function readTensors(path: string): Promise<Tensors> {
  const { tensors } = await readSafetensors(path);
  const read = [...tensors].map(async ([name, tensor]) => [name, await readTensor(tensor)] as const);
  return Object.fromEntries(await Promise.all(read));
}
