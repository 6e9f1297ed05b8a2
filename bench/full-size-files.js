/**
 * What published weights consist of, by model: names and shapes as the tests record them, and configurations. Several
 * paths of one entry are the same file; what a prediction uses together is apart, as it is published, so that it takes
 * the memory that it would.
 */

const sd15 = 'stable-diffusion-v1-5/stable-diffusion-v1-5';
const annotators = 'lllyasviel/ControlNet/annotator/ckpts';
const checkpoints = {
  78775: 'toonyou_beta3',
  72396: 'lyriel_v16',
  71009: 'rcnzCartoon3d_v10',
  79068: 'majicmixRealistic_v5Preview',
  29460: 'realisticVisionV40_v20Novae',
};
const structures = ['canny', 'depth', 'hed', 'mlsd', 'normal', 'openpose', 'scribble', 'seg'];
const network = 'diffusion_pytorch_model.safetensors';

const header = (name) => [{ recorded: `headers/${name}.json` }];
const midas = { tensors: header('dpt-hybrid-midas'), paths: [`${annotators}/dpt_hybrid-midas-501f0c75.pt`] };
const bodyPose = { tensors: header('openpose-body'), paths: ['lllyasviel/Annotators/body_pose_model.pth'] };

const sd15Text = [
  { tensors: header('sd15-text-encoder'), paths: [`${sd15}/text_encoder/model.safetensors`] },
  {
    json: { num_attention_heads: 12, hidden_act: 'quick_gelu' },
    paths: [`${sd15}/text_encoder/config.json`],
  },
  { json: { attention_head_dim: 8 }, paths: [`${sd15}/unet/config.json`] },
  { json: {}, paths: [`${sd15}/vae/config.json`] },
];

const safetyChecker = [
  { tensors: header('safety-checker'), paths: [`${sd15}/safety_checker/model.safetensors`] },
  {
    json: { vision_config: { num_attention_heads: 16, hidden_act: 'quick_gelu' }, projection_dim: 768 },
    paths: [`${sd15}/safety_checker/config.json`],
  },
  {
    json: {
      crop_size: 224,
      do_center_crop: true,
      do_normalize: true,
      do_resize: true,
      image_mean: [0.48145466, 0.4578275, 0.40821073],
      image_std: [0.26862954, 0.26130258, 0.27577711],
      resample: 3,
      size: 224,
    },
    paths: [`${sd15}/feature_extractor/preprocessor_config.json`],
  },
];

const xlOptions = {
  attention_head_dim: [5, 10, 20],
  addition_embed_type: 'text_time',
  addition_time_embed_dim: 256,
  cross_attention_dim: 2048,
};

const sdxl = 'stabilityai/stable-diffusion-xl-base-1.0';

/** SDXL base, which the other bases are links to: what stands between a name and its ending is by repository. */
function base(others = {}) {
  const repositories = Object.entries({ [sdxl]: '', ...others });
  const paths = (path) => repositories.map(([repository]) => `${repository}/${path}`);
  const weights = (stem) => repositories.map(([repository, variant]) => `${repository}/${stem}${variant}.safetensors`);
  return [
    { tensors: header('sdxl-unet'), paths: weights('unet/diffusion_pytorch_model') },
    { tensors: header('sdxl-vae'), paths: weights('vae/diffusion_pytorch_model') },
    { tensors: header('sd15-text-encoder'), paths: weights('text_encoder/model') },
    { tensors: header('sdxl-text-encoder-2'), paths: weights('text_encoder_2/model') },
    { json: xlOptions, paths: paths('unet/config.json') },
    { json: { scaling_factor: 0.13025, force_upcast: true }, paths: paths('vae/config.json') },
    { json: { num_attention_heads: 12, hidden_act: 'quick_gelu' }, paths: paths('text_encoder/config.json') },
    { json: { num_attention_heads: 20, hidden_act: 'gelu' }, paths: paths('text_encoder_2/config.json') },
    {
      json: {
        num_train_timesteps: 1000,
        beta_start: 0.00085,
        beta_end: 0.012,
        beta_schedule: 'scaled_linear',
        timestep_spacing: 'leading',
        steps_offset: 1,
        prediction_type: 'epsilon',
        clip_sample: false,
        set_alpha_to_one: false,
        skip_prk_steps: true,
      },
      paths: paths('scheduler/scheduler_config.json'),
    },
  ];
}

function controlnet(repository, recorded = 'sdxl-controlnet', file = network) {
  return [
    { tensors: header(recorded), paths: [`${repository}/${file}`] },
    { json: xlOptions, paths: [`${repository}/config.json`] },
  ];
}

/** No model uses both. */
const cannyAndZoe = [
  {
    tensors: header('sdxl-controlnet'),
    paths: ['canny', 'zoe-depth'].map((structure) => `diffusers/controlnet-${structure}-sdxl-1.0/${network}`),
  },
  {
    json: xlOptions,
    paths: ['canny', 'zoe-depth'].map((structure) => `diffusers/controlnet-${structure}-sdxl-1.0/config.json`),
  },
];

const styles = ['artificialguybr/3DRedmond-V1/3DRedmond-3DRenderStyle-3DRenderAF.safetensors'];

const instantId = [
  {
    tensors: [...header('instant-id-image-proj'), ...header('sdxl-image-tokens')],
    paths: ['InstantX/InstantID/ip-adapter.bin'],
  },
  ...controlnet('InstantX/InstantID/ControlNetModel'),
  { face: 'detector', paths: ['DIAMONIK7777/antelopev2/scrfd_10g_bnkps.onnx'] },
  { face: 'embedder', paths: ['DIAMONIK7777/antelopev2/glintr100.onnx'] },
];

/** By the name of a model, or of a part of one. */
export const fullSizeFiles = {
  controlnet: [
    ...sd15Text,
    ...safetyChecker,
    { tensors: header('sd15-unet'), paths: [`${sd15}/unet/${network}`] },
    { tensors: header('sd15-vae'), paths: [`${sd15}/vae/${network}`] },
    {
      tensors: header('sd15-controlnet'),
      paths: structures.map((structure) => `lllyasviel/sd-controlnet-${structure}/${network}`),
    },
    {
      json: { attention_head_dim: 8 },
      paths: structures.map((structure) => `lllyasviel/sd-controlnet-${structure}/config.json`),
    },
    { tensors: header('hed-bsds'), paths: [`${annotators}/network-bsds500.pth`] },
    { tensors: header('hed-apache'), paths: ['lllyasviel/Annotators/ControlNetHED.pth'] },
    { tensors: header('upernet-convnext-small'), paths: ['openmmlab/upernet-convnext-small/pytorch_model.bin'] },
    { tensors: header('mlsd-large'), paths: [`${annotators}/mlsd_large_512_fp32.pth`] },
    bodyPose,
    midas,
  ],

  'animate-diff': [
    ...sd15Text,
    {
      tensors: header('motion-module-v14'),
      paths: ['v14', 'v15'].map((version) => `guoyww/animatediff/mm_sd_${version}.ckpt`),
    },
    { tensors: header('motion-module-v15_v2'), paths: ['guoyww/animatediff/mm_sd_v15_v2.ckpt'] },
    {
      tensors: [{ recorded: 'weights/full-size/sd15-original.json' }],
      paths: Object.entries(checkpoints).map(([version, name]) => `civitai/${version}/${name}.safetensors`),
    },
  ],

  'instant-id': [
    ...base(),
    ...safetyChecker,
    ...instantId,
    ...controlnet('thibaud/controlnet-openpose-sdxl-1.0', 'sdxl-controlnet', 'diffusion_pytorch_model.bin'),
    bodyPose,
  ],

  /** Beside those of instant-id. */
  'instant-id-all': [
    ...cannyAndZoe,
    ...controlnet('diffusers/controlnet-depth-sdxl-1.0-small', 'sdxl-controlnet-small'),
    { tensors: header('dpt-hybrid-transformers'), paths: ['Intel/dpt-hybrid-midas/pytorch_model.bin'] },
    { json: { is_hybrid: true, num_attention_heads: 12 }, paths: ['Intel/dpt-hybrid-midas/config.json'] },
    { tensors: header('lora-lcm-sdxl'), paths: ['latent-consistency/lcm-lora-sdxl/pytorch_lora_weights.safetensors'] },
  ],

  photomaker: [
    ...base({ 'SG161222/RealVisXL_V3.0': '.fp16' }),
    ...safetyChecker,
    {
      tensors: [...header('photomaker-v1'), { recorded: 'headers/lora-attention-sdxl.json', prefix: 'lora_weights.' }],
      paths: ['TencentARC/PhotoMaker/photomaker-v1.bin'],
    },
  ],

  'face-to-many': [
    ...base({ 'frankjoshua/albedobaseXL_v13': '' }),
    ...instantId,
    ...cannyAndZoe,
    midas,
    { tensors: header('lora-kohya-sdxl'), paths: styles },
  ],
};
