/** Cases of the networks that find the structure of a photograph. */
import { dptHybridConfig, dptHybridModel } from '../annotators/dpt-hybrid.ts';
import { apacheTraining, bsdsTraining, type HedTraining, hedConfig, hedModel } from '../annotators/hed-network.ts';
import { mlsdConfig, mlsdModel } from '../annotators/mlsd.ts';
import { openposeConfig, openposeModel } from '../annotators/openpose.ts';
import { upernetConfig, upernetModel } from '../annotators/upernet.ts';
import { openWeights } from '../weights/scope.ts';
import { type BuiltNetwork, type CaseFiles, type CaseNetwork, inputDims, refuseOptions } from './network.ts';

export const annotatorNetworks: Readonly<Record<string, CaseNetwork>> = {
  async 'dpt-hybrid'(files) {
    refuseOptions(files, []);
    const [batch, , height, width] = inputDims(files.inputs, 'pixel_values', 4) as [number, number, number, number];
    const weights = await openWeights(files.weights);
    const config = dptHybridConfig(weights, files.config);
    return { model: dptHybridModel({ config, weights }, { batch, height, width }) };
  },

  'hed-bsds': (files) => hedCase(files, bsdsTraining),
  'hed-apache': (files) => hedCase(files, apacheTraining),

  async mlsd(files) {
    refuseOptions(files, []);
    const [, , height, width] = inputDims(files.inputs, 'image', 4) as [number, number, number, number];
    const weights = await openWeights(files.weights);
    return { model: mlsdModel({ config: mlsdConfig(weights), weights }, { height, width }) };
  },

  async openpose(files) {
    refuseOptions(files, []);
    const [, , height, width] = inputDims(files.inputs, 'image', 4) as [number, number, number, number];
    const weights = await openWeights(files.weights);
    return { model: openposeModel({ config: openposeConfig(weights), weights }, { height, width }) };
  },

  async upernet(files) {
    refuseOptions(files, []);
    const [, , height, width] = inputDims(files.inputs, 'pixel_values', 4) as [number, number, number, number];
    const weights = await openWeights(files.weights);
    return { model: upernetModel({ config: upernetConfig(weights), weights }, { height, width }) };
  },
};

async function hedCase(files: CaseFiles, training: HedTraining): Promise<BuiltNetwork> {
  refuseOptions(files, []);
  const [, , height, width] = inputDims(files.inputs, 'image', 4) as [number, number, number, number];
  const weights = await openWeights(files.weights);
  return { model: hedModel({ config: hedConfig(weights, training), weights }, training, { height, width }) };
}
