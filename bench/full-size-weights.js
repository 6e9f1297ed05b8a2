/**
 * Files of random numbers with the names and shapes of the published weights, laid out as repositories are: what
 * DARKROOM_WEIGHTS_PATH takes. Their time and memory are those of the real ones; their pictures are noise.
 *
 *   npm run build && node bench/full-size-weights.js <folder>
 *
 * Writes some 14 GB once; files that are there stay. The shapes are those that the tests check every network against.
 */
import { existsSync, readFileSync } from 'node:fs';
import { link, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inventWeights } from '../dist/weights/random-weights.js';

const base = 'runwayml/stable-diffusion-v1-5';
const annotators = 'lllyasviel/ControlNet/annotator/ckpts';
const checkpoints = {
  78775: 'toonyou_beta3',
  72396: 'lyriel_v16',
  71009: 'rcnzCartoon3d_v10',
  79068: 'majicmixRealistic_v5Preview',
  29460: 'realisticVisionV40_v20Novae',
};

/** Recorded names and shapes -> the files that have them; of several the others are links to the first. */
const files = {
  'headers/sd15-unet.json': [`${base}/unet/diffusion_pytorch_model.safetensors`],
  'headers/sd15-vae.json': [`${base}/vae/diffusion_pytorch_model.safetensors`],
  'headers/sd15-text-encoder.json': [`${base}/text_encoder/model.safetensors`],
  'headers/safety-checker.json': [`${base}/safety_checker/model.safetensors`],
  'headers/sd15-controlnet.json': ['canny', 'depth', 'hed', 'mlsd', 'normal', 'openpose', 'scribble', 'seg'].map(
    (structure) => `lllyasviel/sd-controlnet-${structure}/diffusion_pytorch_model.safetensors`,
  ),
  'headers/motion-module-v14.json': ['v14', 'v15'].map((version) => `guoyww/animatediff/mm_sd_${version}.ckpt`),
  'headers/motion-module-v15_v2.json': ['guoyww/animatediff/mm_sd_v15_v2.ckpt'],
  'weights/full-size/sd15-original.json': Object.entries(checkpoints).map(
    ([version, name]) => `civitai/${version}/${name}.safetensors`,
  ),
  'headers/hed-bsds.json': [`${annotators}/network-bsds500.pth`],
  'headers/hed-apache.json': ['lllyasviel/Annotators/ControlNetHED.pth'],
  'headers/openpose-body.json': ['lllyasviel/Annotators/body_pose_model.pth'],
  'headers/upernet-convnext-small.json': ['openmmlab/upernet-convnext-small/pytorch_model.bin'],
  'headers/dpt-hybrid-midas.json': [`${annotators}/dpt_hybrid-midas-501f0c75.pt`],
  'headers/mlsd-large.json': [`${annotators}/mlsd_large_512_fp32.pth`],
};

/** What the published configurations say beyond the shapes. */
const configurations = {
  [`${base}/unet/config.json`]: { attention_head_dim: 8 },
  [`${base}/vae/config.json`]: {},
  [`${base}/text_encoder/config.json`]: { num_attention_heads: 12, hidden_act: 'quick_gelu' },
  [`${base}/safety_checker/config.json`]: {
    vision_config: { num_attention_heads: 16, hidden_act: 'quick_gelu' },
    projection_dim: 768,
  },
  [`${base}/feature_extractor/preprocessor_config.json`]: {
    crop_size: 224,
    do_center_crop: true,
    do_normalize: true,
    do_resize: true,
    image_mean: [0.48145466, 0.4578275, 0.40821073],
    image_std: [0.26862954, 0.26130258, 0.27577711],
    resample: 3,
    size: 224,
  },
};
for (const path of files['headers/sd15-controlnet.json']) {
  configurations[`${dirname(path)}/config.json`] = { attention_head_dim: 8 };
}

/** @returns nothing; `folder` holds every file afterwards */
export async function writeFullSizeWeights(folder) {
  for (const [path, json] of Object.entries(configurations)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), JSON.stringify(json));
  }
  for (const [recorded, [first, ...others]] of Object.entries(files)) {
    const file = join(folder, first);
    await mkdir(dirname(file), { recursive: true });
    if (!existsSync(file)) await invent(recorded, file);
    for (const other of others.map((path) => join(folder, path))) {
      await mkdir(dirname(other), { recursive: true });
      if (!existsSync(other)) await link(file, other);
    }
  }
}

async function invent(recorded, file) {
  const path = fileURLToPath(new URL(`../test/fixtures/${recorded}`, import.meta.url));
  const { weights, write } = inventWeights();
  for (const [name, entry] of Object.entries(JSON.parse(readFileSync(path, 'utf8')))) {
    const [type, shape] = typeof entry[0] === 'string' ? entry : ['F32', entry];
    if (type === 'F32') weights.tensor(name, shape);
  }
  await write(file, recorded);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (!process.argv[2]) throw new Error('Name a folder: node bench/full-size-weights.js <folder>');
  await writeFullSizeWeights(resolve(process.argv[2]));
}
