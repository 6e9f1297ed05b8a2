/** Small weights of face-to-many: a LoRA for each style, in the layouts of the published files, and a ControlNet. */
import { type MiniFile, type MiniNetwork, type MiniRepositories, weightsFile } from './mini-file.ts';
import { kohyaNames, layersOf, type MiniLayer, miniLora, miniRank, processorLora } from './mini-lora.ts';
import { miniXlControlnet, miniXlTextEncoders, miniXlUnet } from './mini-stable-diffusion-xl.ts';
import { originalName } from './original-layout.ts';

/** The projections of transformers and of their attentions: what trainers adapt. */
const adapted = /\.(to_[qkv]|to_out\.0|ff\.net\.0\.proj|ff\.net\.2|proj_in|proj_out)\.weight$/;
const adaptedOfText = /\.(self_attn\.[qkv]_proj|self_attn\.out_proj|mlp\.fc[12])\.weight$/;

/** kohya-ss/sd-scripts: layers of the UNet by the names of the training code. */
const kohya = miniLora({
  layout: 'kohya, original names',
  networks: [miniXlUnet, ...Object.values(miniXlTextEncoders)],
  layers() {
    const original = originalName('unet', miniXlUnet.config.down[0]!.depths.length);
    const ofUnet = layersOf(miniXlUnet, adapted).map(([name, shape]): MiniLayer => {
      return [`lora_unet_${original(`${name}.`).replace('model.diffusion_model.', '').slice(0, -1)}`, shape];
    });
    const ofText = Object.values(miniXlTextEncoders).flatMap((network, index) =>
      layersOf(network, adaptedOfText).map(([name, shape]): MiniLayer => [`lora_te${index + 1}_${name}`, shape]),
    );
    return [...ofUnet, ...ofText];
  },
  names: kohyaNames,
  alpha: miniRank / 2,
});

function loraFile(path: string, network: MiniNetwork): MiniFile[] {
  return [weightsFile(path, [network])];
}

export const miniFaceToMany: MiniRepositories = {
  'artificialguybr/3DRedmond-V1': loraFile('3DRedmond-3DRenderStyle-3DRenderAF.safetensors', kohya),
  'fofr/sdxl-emoji': loraFile('lora.safetensors', processorLora(miniXlUnet)),
  'artificialguybr/ps1redmond-ps1-game-graphics-lora-for-sdxl': loraFile(
    'PS1Redmond-PS1Game-Playstation1Graphics.safetensors',
    kohya,
  ),
  'artificialguybr/PixelArtRedmond': loraFile('PixelArtRedmond-Lite64.safetensors', kohya),
  'artificialguybr/ClayAnimationRedmond': loraFile('ClayAnimationRedm.safetensors', kohya),
  'artificialguybr/ToyRedmond-ToyLoraForSDXL10': loraFile('ToyRedmond-FnkRedmAF.safetensors', kohya),
  'diffusers/controlnet-zoe-depth-sdxl-1.0': miniXlControlnet('full'),
};
