/** Small networks of what draws the structure of a photograph, under the names of the published files. */
import { jointFinderShapes } from '../annotators/body-joints.ts';
import { type DptHybridConfig, dptHybridModel } from '../annotators/dpt-hybrid.ts';
import { transformersName } from '../annotators/dpt-hybrid-names.ts';
import { apacheTraining, bsdsTraining, type HedConfig, type HedTraining, hedModel } from '../annotators/hed-network.ts';
import { type MlsdConfig, mlsdModel } from '../annotators/mlsd.ts';
import { type OpenposeConfig, openposeModel } from '../annotators/openpose.ts';
import { personDetectorShapes } from '../annotators/person-boxes.ts';
import { type UpernetConfig, upernetModel } from '../annotators/upernet.ts';
import { jsonFile, type MiniNetwork, type MiniRepositories, weightsFile } from './mini-file.ts';
import { blindFile } from './mini-onnx.ts';

/** Of a picture, for graphs that are built for their weights alone. */
const anyShape = { batch: 1, height: 64, width: 64 };

const dptHybrid: DptHybridConfig = {
  // Norms of 32 groups: the file of the published network has no place that says how many.
  stages: { stemWidth: 32, stages: [1, 1, 1].map((blocks) => ({ blocks, innerWidth: 32, width: 32 })), groups: 32 },
  width: 64,
  heads: 1,
  epsilon: 1e-6,
  joined: true,
  mlpWidth: 128,
  layers: 4,
  grid: 4,
  readoutWidths: [64, 64],
  fusionWidth: 16,
  headWidths: [8, 8],
};

const hed: HedConfig = { blocks: [4, 6, 8, 8, 8].map((channels, block) => ({ channels, layers: block < 2 ? 2 : 3 })) };

const mlsd: MlsdConfig = {
  stem: 8,
  // The first one does not widen its input.
  blocks: [8, 8, 8, 8, 8, 8, 12, 12, 12, 12, 16, 16, 16].map((channels, index) => ({
    hidden: index === 0 ? 8 : 2 * channels,
    channels,
  })),
  width: 8,
};

const openpose: OpenposeConfig = {
  levels: [4, 8, 8, 16],
  narrowed: 16,
  features: 16,
  hidden: 16,
  wide: 32,
  stages: 2,
};

const upernet: UpernetConfig = {
  stages: [8, 12, 16, 24].map((channels) => ({ channels, layers: 1 })),
  patch: 4,
  width: 16,
  labels: 150,
};

const hedNetwork = (training: HedTraining): MiniNetwork => ({
  config: { training: training.name, ...hed },
  build: (weights) => {
    hedModel({ config: hed, weights }, training, anyShape);
  },
  // Otherwise it would be certain of an edge at every place, one way or the other.
  spread: (name) => (name === `${bsdsTraining.layer(0, 0)}.weight` ? { centre: 0, deviation: 0.005 } : undefined),
});

const mlsdNetwork: MiniNetwork = {
  config: mlsd,
  build: (weights) => {
    mlsdModel({ config: mlsd, weights }, anyShape);
  },
  // Segments of some length.
  spread: (name) => (name === 'block23.conv3.weight' ? { centre: 0, deviation: 4 } : undefined),
};

const dptHybridNetwork: MiniNetwork = {
  config: dptHybrid,
  build: (weights) => {
    dptHybridModel({ config: dptHybrid, weights }, anyShape);
  },
  // Few places are infinitely far away.
  spread: (name) => (name === 'scratch.output_conv.4.bias' ? { centre: 2, deviation: 0 } : undefined),
};

const dptHybridOfTransformers: MiniNetwork = {
  ...dptHybridNetwork,
  config: { ...dptHybrid, joined: false, epsilon: 1e-12 },
  build: (weights) => {
    dptHybridModel({ config: { ...dptHybrid, joined: false }, weights }, anyShape);
  },
  rename: transformersName,
};

const openposeNetwork: MiniNetwork = {
  config: openpose,
  build: (weights) => {
    openposeModel({ config: openpose, weights }, anyShape);
  },
};

const upernetNetwork: MiniNetwork = {
  config: upernet,
  build: (weights) => {
    upernetModel({ config: upernet, weights }, anyShape);
  },
};

export const miniAnnotators: MiniRepositories = {
  'lllyasviel/ControlNet': [
    weightsFile('annotator/ckpts/network-bsds500.pth', [hedNetwork(bsdsTraining)]),
    weightsFile('annotator/ckpts/mlsd_large_512_fp32.pth', [mlsdNetwork]),
    weightsFile('annotator/ckpts/dpt_hybrid-midas-501f0c75.pt', [dptHybridNetwork]),
  ],
  'lllyasviel/Annotators': [
    weightsFile('ControlNetHED.pth', [hedNetwork(apacheTraining)]),
    weightsFile('body_pose_model.pth', [openposeNetwork]),
  ],
  'yzd-v/DWPose': [
    blindFile('yolox_l.onnx', personDetectorShapes),
    blindFile('dw-ll_ucoco_384.onnx', jointFinderShapes),
  ],
  'Intel/dpt-hybrid-midas': [
    jsonFile('config.json', {
      is_hybrid: true,
      num_attention_heads: dptHybrid.heads,
      layer_norm_eps: 1e-12,
      backbone_config: { num_groups: dptHybrid.stages.groups },
    }),
    weightsFile('pytorch_model.bin', [dptHybridOfTransformers]),
  ],
  'openmmlab/upernet-convnext-small': [weightsFile('pytorch_model.bin', [upernetNetwork])],
};
