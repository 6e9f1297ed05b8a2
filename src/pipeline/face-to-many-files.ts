/** Weights of face-to-many alone. Sources of the facts: docs/weights.md. */
import type { WeightRepository } from '../catalog/model.ts';
import type { FaceToManyStyle } from '../text/face-to-many-styles.ts';

const openRail = { licence: 'CreativeML OpenRAIL-M', commercialUse: true };
const unclear = { licence: 'unclear: none is named where it is published', commercialUse: false };

/** A LoRA each. */
export const styleLoras = {
  '3D': {
    repository: 'artificialguybr/3DRedmond-V1',
    files: ['3DRedmond-3DRenderStyle-3DRenderAF.safetensors'],
    ...unclear,
  },
  Emoji: { repository: 'fofr/sdxl-emoji', files: ['lora.safetensors'], ...openRail },
  'Video game': {
    repository: 'artificialguybr/ps1redmond-ps1-game-graphics-lora-for-sdxl',
    files: ['PS1Redmond-PS1Game-Playstation1Graphics.safetensors'],
    ...unclear,
  },
  Pixels: {
    repository: 'artificialguybr/PixelArtRedmond',
    files: [
      {
        path: 'PixelArtRedmond-Lite64.safetensors',
        sha256: '84e915e2936cd20f98d3391609ddd474d0268b0bc1d2edd7bdeeb5fec2252ab7',
      },
    ],
    ...openRail,
  },
  Clay: {
    repository: 'artificialguybr/ClayAnimationRedmond',
    files: ['ClayAnimationRedm.safetensors'],
    ...unclear,
  },
  Toy: {
    repository: 'artificialguybr/ToyRedmond-ToyLoraForSDXL10',
    files: ['ToyRedmond-FnkRedmAF.safetensors'],
    ...openRail,
  },
} satisfies Record<FaceToManyStyle, WeightRepository>;

/** Trained on what ZoeDepth draws; here, as in the original, it follows what MiDaS draws. */
export const zoeControlNet: WeightRepository = {
  repository: 'diffusers/controlnet-zoe-depth-sdxl-1.0',
  files: ['config.json', 'diffusion_pytorch_model.safetensors'],
  licence: 'CreativeML OpenRAIL++-M',
  commercialUse: true,
};
