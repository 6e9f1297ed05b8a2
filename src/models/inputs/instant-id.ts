/**
 * The inputs of `zsxkib/instant-id`, as the published document has them: names, words, order, defaults and limits. What each
 * of them does is in `../instant-id.ts`.
 */
import { imageFormats } from '../../base/encode-image.ts';
import { choice, image, integer, number, text, toggle } from '../../catalog/fields.ts';
import { type StableDiffusionXlName, stableDiffusionXl } from '../../pipeline/stable-diffusion-xl-files.ts';

export const inputs = {
  image: image({ description: 'Input face image' }),
  pose_image: image({ description: '(Optional) reference pose image', optional: true }),
  prompt: text({ description: 'Input prompt', default: 'a person' }),
  negative_prompt: text({ description: 'Input Negative Prompt', default: '' }),
  sdxl_weights: choice(Object.keys(stableDiffusionXl) as StableDiffusionXlName[], {
    description: 'Pick which base weights you want to use',
    default: 'stable-diffusion-xl-base-1.0',
  }),
  scheduler: choice(
    [
      'DEISMultistepScheduler',
      'HeunDiscreteScheduler',
      'EulerDiscreteScheduler',
      'DPMSolverMultistepScheduler',
      'DPMSolverMultistepScheduler-Karras',
      'DPMSolverMultistepScheduler-Karras-SDE',
    ],
    { description: 'Scheduler', default: 'EulerDiscreteScheduler' },
  ),
  num_inference_steps: integer({
    description: 'Number of denoising steps',
    default: 30,
    minimum: 1,
    maximum: 500,
  }),
  guidance_scale: number({
    description: 'Scale for classifier-free guidance',
    default: 7.5,
    minimum: 1,
    maximum: 50,
  }),
  ip_adapter_scale: number({
    description: 'Scale for image adapter strength (for detail)',
    default: 0.8,
    minimum: 0,
    maximum: 1.5,
  }),
  controlnet_conditioning_scale: number({
    description: 'Scale for IdentityNet strength (for fidelity)',
    default: 0.8,
    minimum: 0,
    maximum: 1.5,
  }),
  enable_pose_controlnet: toggle({
    description: 'Enable Openpose ControlNet, overrides strength if set to false',
    default: true,
  }),
  pose_strength: number({
    description: 'Openpose ControlNet strength, effective only if `enable_pose_controlnet` is true',
    default: 0.4,
    minimum: 0,
    maximum: 1,
  }),
  enable_canny_controlnet: toggle({
    description: 'Enable Canny ControlNet, overrides strength if set to false',
    default: false,
  }),
  canny_strength: number({
    description: 'Canny ControlNet strength, effective only if `enable_canny_controlnet` is true',
    default: 0.3,
    minimum: 0,
    maximum: 1,
  }),
  enable_depth_controlnet: toggle({
    description: 'Enable Depth ControlNet, overrides strength if set to false',
    default: false,
  }),
  depth_strength: number({
    description: 'Depth ControlNet strength, effective only if `enable_depth_controlnet` is true',
    default: 0.5,
    minimum: 0,
    maximum: 1,
  }),
  enable_lcm: toggle({
    description:
      'Enable Fast Inference with LCM (Latent Consistency Models) - speeds up inference steps, trade-off is the ' +
      'quality of the generated image. Performs better with close-up portrait face images',
    default: false,
  }),
  lcm_num_inference_steps: integer({
    description: 'Only used when `enable_lcm` is set to True, Number of denoising steps when using LCM',
    default: 5,
    minimum: 1,
    maximum: 10,
  }),
  lcm_guidance_scale: number({
    description: 'Only used when `enable_lcm` is set to True, Scale for classifier-free guidance when using LCM',
    default: 1.5,
    minimum: 1,
    maximum: 20,
  }),
  enhance_nonface_region: toggle({ description: 'Enhance non-face region', default: true }),
  output_format: choice(imageFormats, { description: 'Format of the output images', default: 'webp' }),
  output_quality: integer({
    description: 'Quality of the output images, from 0 to 100. 100 is best quality, 0 is lowest quality.',
    default: 80,
    minimum: 0,
    maximum: 100,
  }),
  seed: integer({
    description: 'Random seed. Leave blank to randomize the seed',
    optional: true,
    wide: true,
  }),
  num_outputs: integer({
    description: 'Number of images to output',
    default: 1,
    minimum: 1,
    maximum: 8,
  }),
  disable_safety_checker: toggle({ description: 'Disable safety checker for generated images', default: false }),
};
