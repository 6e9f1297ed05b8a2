/** InstantID (arXiv 2401.07519) for SDXL, and the ControlNets that stand beside it. Sources of the facts: docs/weights.md. */
import type { WeightRepository } from '../catalog/model.ts';

/** The file of face tokens and image attention in InstantID's repository, and the folder of IdentityNet. */
export const faceAdapterFile = 'ip-adapter.bin';
export const identityNetFolder = 'ControlNetModel';

export const instantId: WeightRepository = {
  repository: 'InstantX/InstantID',
  revision: '57b32dfee076092ad2930c71fd6d439c2c3b1820',
  files: [
    {
      path: faceAdapterFile,
      bytes: 1_691_134_141,
      sha256: '02b3618e36d803784166660520098089a81388e61a93ef8002aa79a5b1c546e1',
    },
    `${identityNetFolder}/config.json`,
    {
      path: `${identityNetFolder}/diffusion_pytorch_model.safetensors`,
      bytes: 2_502_139_136,
      sha256: 'c8127be9f174101ebdafee9964d856b49b634435cf6daa396d3f593cf0bbbb05',
    },
  ],
  licence: 'Apache 2.0',
  commercialUse: true,
};

export const poseControlNet: WeightRepository = {
  repository: 'thibaud/controlnet-openpose-sdxl-1.0',
  files: ['config.json', 'diffusion_pytorch_model.bin'],
  // Its page refers to OpenPose's.
  licence: 'OpenPose: academic or non-profit, non-commercial research',
  commercialUse: false,
};

export const cannyControlNet: WeightRepository = {
  repository: 'diffusers/controlnet-canny-sdxl-1.0',
  revision: 'eb115a19a10d14909256db740ed109532ab1483c',
  files: ['config.json', 'diffusion_pytorch_model.safetensors'],
  licence: 'CreativeML OpenRAIL++-M',
  commercialUse: true,
};

export const depthControlNet: WeightRepository = {
  repository: 'diffusers/controlnet-depth-sdxl-1.0-small',
  files: ['config.json', 'diffusion_pytorch_model.safetensors'],
  licence: 'CreativeML OpenRAIL++-M',
  commercialUse: true,
};

export const lcmLoraFile = 'pytorch_lora_weights.safetensors';

/** Latent consistency for SDXL as a LoRA (arXiv 2311.05556). */
export const lcmLora: WeightRepository = {
  repository: 'latent-consistency/lcm-lora-sdxl',
  revision: 'a18548dd4956b174ec5b0d78d340c8dae0a129cd',
  files: [
    {
      path: lcmLoraFile,
      bytes: 393_855_224,
      sha256: 'a764e6859b6e04047cd761c08ff0cee96413a8e004c9f07707530cd776b19141',
    },
  ],
  licence: 'CreativeML OpenRAIL++-M',
  commercialUse: true,
};
