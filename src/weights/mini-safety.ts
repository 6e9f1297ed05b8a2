/** A small safety checker, and what tells how pictures are prepared for it. */
import { type SafetyCheckerConfig, safetyCheckerModel } from '../networks/safety-checker.ts';
import { jsonFile, type MiniFile, type MiniNetwork, networkFolder } from './mini-file.ts';

const vision = {
  width: 32,
  mlpWidth: 64,
  layers: 2,
  heads: 2,
  activation: 'quick_gelu',
  epsilon: 1e-5,
  channels: 3,
  grid: 4,
  patch: 8,
} as const;
const config: SafetyCheckerConfig = { vision, projectionWidth: 32, concepts: 17, specialConcepts: 3 };
const side = vision.grid * vision.patch;

const network: MiniNetwork = {
  config,
  build: (weights) => {
    safetyCheckerModel({ config, weights }, { batch: 1 });
  },
  // Thresholds that no cosine reaches: what has learned nothing may not turn pictures black.
  spread: (name) => (name.endsWith('_embeds_weights') ? { centre: 2, deviation: 0.1 } : undefined),
};

const checkerJson = {
  architectures: ['StableDiffusionSafetyChecker'],
  model_type: 'clip',
  projection_dim: config.projectionWidth,
  vision_config: {
    hidden_act: vision.activation,
    hidden_size: vision.width,
    image_size: side,
    intermediate_size: vision.mlpWidth,
    layer_norm_eps: vision.epsilon,
    num_attention_heads: vision.heads,
    num_hidden_layers: vision.layers,
    patch_size: vision.patch,
  },
};

const extractorJson = {
  crop_size: side,
  do_center_crop: true,
  do_normalize: true,
  do_resize: true,
  feature_extractor_type: 'CLIPFeatureExtractor',
  resample: 3,
  size: side,
};

/** In a repository laid out as Stable Diffusion's. */
export const miniSafetyChecker: readonly MiniFile[] = [
  ...networkFolder('safety_checker', 'model', checkerJson, network),
  jsonFile('feature_extractor/preprocessor_config.json', extractorJson),
];
