import type { WeightRepository } from '../catalog/model.ts';

/** Stable Diffusion 1.5, where it is to be had since its first place was closed. Sources of the facts: docs/weights.md. */
export const stableDiffusion15: Omit<WeightRepository, 'files'> = {
  repository: 'stable-diffusion-v1-5/stable-diffusion-v1-5',
  mirrors: ['runwayml/stable-diffusion-v1-5'],
  revision: '451f4fe16113bff5a5d2269ed5ad43b0592e9a14',
  licence: 'CreativeML OpenRAIL-M',
  commercialUse: true,
};

/** By network. */
export const stableDiffusion15Files = {
  unet: [
    'unet/config.json',
    {
      path: 'unet/diffusion_pytorch_model.safetensors',
      bytes: 3_438_167_540,
      sha256: '19da7aaa4b880e59d56843f1fcb4dd9b599c28a1d9d9af7c1143057c8ffae9f1',
    },
  ],
  vae: [
    'vae/config.json',
    {
      path: 'vae/diffusion_pytorch_model.safetensors',
      bytes: 334_643_276,
      sha256: 'a2b5134f4dbc140d9c11f11cba3233099e00af40f262f136c691fb7d38d2194c',
    },
  ],
  textEncoder: [
    'text_encoder/config.json',
    {
      path: 'text_encoder/model.safetensors',
      bytes: 492_265_874,
      sha256: 'd008943c017f0092921106440254dbbe00b6a285f7883ec8ba160c3faad88334',
    },
  ],
  safetyChecker: [
    'safety_checker/config.json',
    {
      path: 'safety_checker/model.safetensors',
      bytes: 1_215_981_830,
      sha256: '9d6a233ff6fd5ccb9f76fd99618d73369c52dd3d8222376384d0e601911089e8',
    },
    'feature_extractor/preprocessor_config.json',
  ],
} satisfies Record<string, WeightRepository['files']>;
