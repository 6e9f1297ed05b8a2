/** Cases of the UNets and of what is built into them. */
import { InputError } from '../base/errors.ts';
import { float32, type Tensor } from '../math/tensor.ts';
import { type Controlnet, controlnetModel } from '../networks/controlnet.ts';
import { type MotionVersion, motionConfig, motionUnetModel, motionVersions } from '../networks/motion-unet.ts';
import { type Unet, type UnetExtras, unetModel } from '../networks/unet.ts';
import { controlnetConfig, unetConfig } from '../networks/unet-config.ts';
import { readConfig } from '../weights/network-files.ts';
import { type NetworkWeights, openWeights } from '../weights/scope.ts';
import { withCaseLoras } from './case-loras.ts';
import { type CaseFiles, type CaseNetwork, inputDims, refuseOptions, type Tensors } from './network.ts';

interface Entry {
  config: string;
  weights: string | readonly string[];
  scale?: number;
}

export const unetNetworks: Readonly<Record<string, CaseNetwork>> = {
  async unet(files) {
    refuseOptions(files, ['loras', 'controlnets', 'ipAdapter']);
    const [batch, , height, width] = inputDims(files.inputs, 'sample', 4) as [number, number, number, number];
    const feeds: Record<string, Tensor> = withTimestep(files.inputs);
    const entries = (files.options.controlnets ?? []) as Entry[];
    const controlnets = entries.map(async (entry, index) => {
      feeds[`conditioning_scale.${index}`] = scalar(entry.scale);
      const own = files.inputs[`controlnet_encoder_hidden_states.${index}`];
      return {
        ...(await openControl(pathsOf(files, entry.weights), await readConfig(files.pathOf(entry.config)))),
        conditionBatch: inputDims(files.inputs, `controlnet_cond.${index}`, 4)[0]!,
        ...(own ? { contextLength: own.dims[1]! } : {}),
      };
    });
    const extras: UnetExtras = { controlnets: await Promise.all(controlnets) };
    const adapter = files.options.ipAdapter as Entry | undefined;
    if (adapter) {
      feeds.ip_adapter_scale = scalar(adapter.scale);
      const [, length] = inputDims(files.inputs, 'image_prompt_embeds', 3) as [number, number];
      extras.imageTokens = { weights: await openWeights(pathsOf(files, adapter.weights)), length };
    }
    const { net, feeds: scales } = await openNet(files, await openWeights(files.weights, 'unet'));
    Object.assign(feeds, scales);
    return { model: unetModel(net, { batch, height, width, ...lengths(files.inputs) }, extras), feeds };
  },

  async controlnet(files) {
    refuseOptions(files, ['conditioningScale']);
    const [batch, , height, width] = inputDims(files.inputs, 'sample', 4) as [number, number, number, number];
    const [conditionBatch] = inputDims(files.inputs, 'controlnet_cond', 4) as [number];
    const net = await openControl(files.weights, files.config);
    return {
      model: controlnetModel(net, { batch, height, width, conditionBatch, ...lengths(files.inputs) }),
      feeds: {
        ...withTimestep(files.inputs),
        conditioning_scale: scalar(files.options.conditioningScale as number | undefined),
      },
    };
  },

  async 'motion-unet'(files) {
    refuseOptions(files, ['version', 'loras']);
    const [batch, , frames, height, width] = inputDims(files.inputs, 'sample', 5) as [
      number,
      number,
      number,
      number,
      number,
    ];
    const version = String(files.options.version).replace(/^mm_sd_/, '') as MotionVersion;
    if (!motionVersions.includes(version)) {
      throw new InputError(`Its option "version" is ${files.options.version}; there are ${motionVersions.join(', ')}.`);
    }
    const [unetFiles, motionFiles] = await splitFiles(files.weights);
    const weights = await openWeights(motionFiles);
    const { net, feeds } = await openNet(files, await openWeights(unetFiles, 'unet'));
    const shape = { batch, frames, height, width, ...lengths(files.inputs) };
    const model = motionUnetModel(net, { config: motionConfig(version, weights), weights }, shape);
    return { model, feeds: { ...withTimestep(files.inputs), ...feeds } };
  },
};

async function openNet(files: CaseFiles, plain: NetworkWeights): Promise<{ net: Unet; feeds: Tensors }> {
  const { weights, feeds } = await withCaseLoras(files, plain, 'unet');
  return { net: { config: unetConfig(files.config, weights), weights }, feeds };
}

async function openControl(paths: readonly string[], json: unknown): Promise<Controlnet> {
  const weights = await openWeights(paths, 'controlnet');
  return { config: controlnetConfig(json, weights), weights };
}

/** The files of the UNet and those of the motion module, told apart by their names of tensors. */
async function splitFiles(paths: readonly string[]): Promise<[unet: string[], motion: string[]]> {
  const split: [string[], string[]] = [[], []];
  for (const path of paths) {
    const names = [...(await openWeights([path])).names()];
    split[names.some((name) => name.includes('motion_modules.')) ? 1 : 0].push(path);
  }
  if (split[0].length === 0 || split[1].length === 0) {
    throw new InputError('Its "weights" are not the files of a UNet and of a motion module.');
  }
  return split;
}

function pathsOf(files: CaseFiles, weights: Entry['weights']): string[] {
  return [weights].flat().map((file) => files.pathOf(file));
}

function lengths(inputs: Tensors): { textLength: number; timesteps: number } {
  const [, textLength] = inputDims(inputs, 'encoder_hidden_states', 3) as [number, number];
  return { textLength, timesteps: withTimestep(inputs).timestep.dims[0]! };
}

/** The reference takes a timestep of any type, also without axes. */
function withTimestep(inputs: Tensors): Tensors & { timestep: Tensor } {
  const { timestep } = inputs;
  if (!timestep) throw new InputError('Its inputs lack "timestep".');
  return { ...inputs, timestep: float32([timestep.data.length], Float32Array.from(timestep.data, Number)) };
}

function scalar(value = 1): Tensor {
  return float32([1], Float32Array.of(value));
}
