/** Cases of the UNets and what is built into them. */

import { unetModel } from '../networks/unet.ts';
import { controlnetConfig, unetConfig } from '../networks/unet-config.ts';
import { readConfig } from '../weights/network-files.ts';
import { openWeights } from '../weights/scope.ts';
import { type CaseNetwork, inputDims, refuseOptions } from './network.ts';

interface ControlnetEntry {
  config: string;
  weights: readonly string[];
  scale: number;
}

export const unetNetworks: Readonly<Record<string, CaseNetwork>> = {
  async unet(files) {
    refuseOptions(files, ['controlnets']);
    const { inputs, changes } = files;
    const [batch, , height, width] = inputDims(inputs, 'sample', 4) as [number, number, number, number];
    const [, textLength] = inputDims(inputs, 'encoder_hidden_states', 3) as [number, number];
    const entries = (files.options.controlnets ?? []) as ControlnetEntry[];
    const controlnets = entries.map(async (entry, index) => {
      const weights = await openWeights(entry.weights.map(files.pathOf));
      const config = controlnetConfig(await readConfig(files.pathOf(entry.config)), weights);
      return {
        config: changes.controlnetConfig?.(config) ?? config,
        weights,
        scale: entry.scale,
        conditionBatch: inputDims(inputs, `controlnet_cond.${index}`, 4)[0]!,
      };
    });
    const weights = await openWeights(files.weights);
    const net = { config: unetConfig(files.config, weights), weights };
    const shape = { batch, height, width, textLength };
    return { model: unetModel(net, shape, await Promise.all(controlnets)) };
  },
};
