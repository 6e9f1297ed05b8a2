/** Small weights of face-to-many: a LoRA for each style, in the layouts of the published files, and a ControlNet. */
import { type MiniFile, type MiniNetwork, type MiniRepositories, weightsFile } from './mini-file.ts';
import { miniXlControlnet, miniXlTextEncoders, miniXlUnet } from './mini-stable-diffusion-xl.ts';
import { originalName } from './original-layout.ts';
import { inventWeights } from './random-weights.ts';

const rank = 4;

/** The projections of transformers and of their attentions: what trainers adapt. */
const adapted = /\.(to_[qkv]|to_out\.0|ff\.net\.0\.proj|ff\.net\.2|proj_in|proj_out)\.weight$/;
const adaptedOfText = /\.(self_attn\.[qkv]_proj|self_attn\.out_proj|mlp\.fc[12])\.weight$/;

/** Of a network's layers: [name without `.weight`, its shape]. */
function layersOf(network: MiniNetwork, which: RegExp): (readonly [string, readonly number[]])[] {
  const invented = inventWeights();
  network.build(invented.weights);
  return [...invented.tensors('')].flatMap(([name, { shape }]) =>
    which.test(name) ? [[name.replace(/\.weight$/, ''), shape] as const] : [],
  );
}

/** kohya-ss/sd-scripts: layers of the UNet by the names of the training code, with underscores for dots. */
function kohyaLora(): MiniNetwork {
  const original = originalName('unet', miniXlUnet.config.down[0]!.depths.length);
  const ofUnet = layersOf(miniXlUnet, adapted).map(([name, shape]) => {
    return [`lora_unet_${original(`${name}.`).replace('model.diffusion_model.', '').slice(0, -1)}`, shape] as const;
  });
  const ofText = Object.values(miniXlTextEncoders).flatMap((network, index) =>
    layersOf(network, adaptedOfText).map(([name, shape]) => [`lora_te${index + 1}_${name}`, shape] as const),
  );
  return lora('kohya', [...ofUnet, ...ofText], (name) => {
    const path = name.replaceAll('.', '_');
    return [`${path}.lora_down.weight`, `${path}.lora_up.weight`, `${path}.alpha`];
  });
}

/** Replicate's trainer of SDXL: the attentions of the UNet alone, by their processors, and without alpha. */
function processorLora(): MiniNetwork {
  return lora('processors', layersOf(miniXlUnet, /\.(to_[qkv]|to_out\.0)\.weight$/), (name) => {
    const path = name.replace(/\.(to_[qkv]|to_out)(\.0)?$/, '.processor.$1_lora');
    return [`${path}.down.weight`, `${path}.up.weight`];
  });
}

function lora(
  layout: string,
  layers: readonly (readonly [string, readonly number[]])[],
  names: (layer: string) => [down: string, up: string, alpha?: string],
): MiniNetwork {
  return {
    config: { layout, rank, layers },
    build(weights) {
      for (const [layer, [out, width]] of layers) {
        const [down, up, alpha] = names(layer);
        weights.tensor(down, [rank, width!]);
        weights.tensor(up, [out!, rank]);
        if (alpha) weights.tensor(alpha, []);
      }
    },
    spread: (name) => (name.endsWith('.alpha') ? { centre: rank / 2, deviation: 0 } : undefined),
  };
}

function loraFile(path: string, network: MiniNetwork): MiniFile[] {
  return [weightsFile(path, [network])];
}

const kohya = kohyaLora();

export const miniFaceToMany: MiniRepositories = {
  'artificialguybr/3DRedmond-V1': loraFile('3DRedmond-3DRenderStyle-3DRenderAF.safetensors', kohya),
  'fofr/sdxl-emoji': loraFile('lora.safetensors', processorLora()),
  'artificialguybr/ps1redmond-ps1-game-graphics-lora-for-sdxl': loraFile(
    'PS1Redmond-PS1Game-Playstation1Graphics.safetensors',
    kohya,
  ),
  'artificialguybr/PixelArtRedmond': loraFile('PixelArtRedmond-Lite64.safetensors', kohya),
  'artificialguybr/ClayAnimationRedmond': loraFile('ClayAnimationRedm.safetensors', kohya),
  'artificialguybr/ToyRedmond-ToyLoraForSDXL10': loraFile('ToyRedmond-FnkRedmAF.safetensors', kohya),
  'diffusers/controlnet-zoe-depth-sdxl-1.0': miniXlControlnet('full'),
};
