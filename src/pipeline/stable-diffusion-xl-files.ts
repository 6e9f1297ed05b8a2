/**
 * Stable Diffusion XL (arXiv 2307.01952) and the models that were trained from it, in diffusers' folder layout. Sources of
 * the facts: docs/weights.md.
 */
import type { WeightFile, WeightRepository } from '../catalog/model.ts';
import { stableDiffusion15, stableDiffusion15Files } from './stable-diffusion-files.ts';

/** How a repository has its weights. Other variants are used as well where they lie on this disk. */
const weightNames = {
  float32: { network: 'diffusion_pytorch_model.safetensors', encoder: 'model.safetensors' },
  float16: { network: 'diffusion_pytorch_model.fp16.safetensors', encoder: 'model.fp16.safetensors' },
  pickled: { network: 'diffusion_pytorch_model.bin', encoder: 'pytorch_model.bin' },
};

/** The files of a base by network; the VAE's hold encoder and decoder. One file may stand for all of them. */
function contents(
  kind: keyof typeof weightNames,
  known: Readonly<Record<string, Omit<WeightFile, 'path'>>> = {},
): Pick<WeightRepository, 'files' | 'mayBeSingleFile'> {
  const { network, encoder } = weightNames[kind];
  const weights = { unet: network, vae: network, text_encoder: encoder, text_encoder_2: encoder };
  const files = Object.entries(weights).flatMap(([folder, name]) => [
    `${folder}/config.json`,
    { path: `${folder}/${name}`, ...known[folder] },
  ]);
  return { files: ['scheduler/scheduler_config.json', ...files], mayBeSingleFile: true };
}

const openRail = { licence: 'CreativeML OpenRAIL++-M', commercialUse: true };

const base: WeightRepository = {
  repository: 'stabilityai/stable-diffusion-xl-base-1.0',
  revision: '462165984030d82259a11f4367a4eed129e94a7b',
  ...contents('float32', {
    unet: {
      bytes: 10_270_077_736,
      sha256: '357650fbfb3c7b4d94c1f5fd7664da819ad1ff5a839430484b4ec422d03f710a',
    },
    vae: { bytes: 334_643_268, sha256: '1598f3d24932bcfe6634e8b618ea1e30ab1d57f5aad13a6d2de446d2199f2341' },
    text_encoder: { bytes: 492_265_168, sha256: '5c3d6454dd2d23414b56aa1b5858a72487a656937847b6fea8d0606d7a42cdbc' },
    text_encoder_2: {
      bytes: 2_778_702_264,
      sha256: '3a6032f63d37ae02bbc74ccd6a27440578cd71701f96532229d0154f55a8d3ff',
    },
  }),
  ...openRail,
};

const authors = 'unclear: that of its author, who is another than its publisher';

/** A checkpoint that a hosting service has published again, under its own licence; its author's terms may be others. */
function republished(name: string, licence = authors): WeightRepository {
  return { repository: `stablediffusionapi/${name}`, ...contents('pickled'), licence, commercialUse: false };
}

/** Also what face-to-many draws with. */
export const albedoBaseXl13: WeightRepository = {
  repository: 'frankjoshua/albedobaseXL_v13',
  mirrors: ['stablediffusionapi/albedobase-xl-v13'],
  ...contents('float32'),
  licence: authors,
  commercialUse: false,
};

/** What photomaker draws with. */
export const realVisXl3: WeightRepository = {
  repository: 'SG161222/RealVisXL_V3.0',
  revision: '11ee564ebf4bd96d90ed5d473cb8e7f2e6450bcf',
  ...contents('float16'),
  ...openRail,
};

/** By the names of instant-id's input `sdxl_weights`. */
export const stableDiffusionXl = {
  'stable-diffusion-xl-base-1.0': base,
  'juggernaut-xl-v8': {
    ...republished('juggernaut-xl-v8'),
    mirrors: ['frankjoshua/juggernautXL_v8Rundiffusion'],
  },
  'afrodite-xl-v2': republished('afrodite-xl-v2'),
  'albedobase-xl-20': republished('albedobase-xl-20'),
  'albedobase-xl-v13': albedoBaseXl13,
  'animagine-xl-30': republished('animagine-xl-30', 'Fair AI Public License 1.0-SD'),
  'anime-art-diffusion-xl': republished('anime-art-diffusion-xl'),
  'anime-illust-diffusion-xl': republished('anime-illust-diffusion-xl'),
  'dreamshaper-xl': republished('dreamshaper-xl'),
  'dynavision-xl-v0610': republished('dynavision-xl-v0610'),
  'guofeng4-xl': republished('guofeng4-xl'),
  'nightvision-xl-0791': republished('nightvision-xl-0791'),
  'omnigen-xl': republished('omnigen-xl'),
  'pony-diffusion-v6-xl': republished(
    'pony-diffusion-v6-xl',
    'Fair AI Public License 1.0-SD, changed: no commercial inference',
  ),
  'protovision-xl-high-fidel': republished('protovision-xl-high-fidel'),
  'RealVisXL_V3.0_Turbo': {
    repository: 'SG161222/RealVisXL_V3.0_Turbo',
    ...contents('float32'),
    licence: 'non-commercial, as SDXL Turbo',
    commercialUse: false,
  },
  'RealVisXL_V4.0_Lightning': {
    repository: 'SG161222/RealVisXL_V4.0_Lightning',
    ...contents('float32'),
    ...openRail,
  },
} satisfies Record<string, WeightRepository>;

export type StableDiffusionXlName = keyof typeof stableDiffusionXl;

/** The same safety checker and picture preprocessing as Stable Diffusion 1.5's, and kept with it. */
export const safetyChecker: WeightRepository = { ...stableDiffusion15, files: stableDiffusion15Files.safetyChecker };
