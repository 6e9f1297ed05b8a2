/**
 * The inputs of `fofr/face-to-many`, as the published document has them: names, words, order, defaults and limits. What each
 * of them does is in `../face-to-many.ts`.
 */
import { choice, image, integer, lora, number, text } from '../../catalog/fields.ts';
import { type FaceToManyStyle, faceToManyStyles } from '../../text/face-to-many-styles.ts';

export const inputs = {
  image: image({ description: 'An image of a person to be converted', optional: true }),
  style: choice(Object.keys(faceToManyStyles) as FaceToManyStyle[], {
    description: 'Style to convert to',
    default: '3D',
  }),
  prompt: text({ description: '', default: 'a person' }),
  negative_prompt: text({ description: 'Things you do not want in the image', default: '' }),
  denoising_strength: number({
    description:
      'How much of the original image to keep. 1 is the complete destruction of the original image, ' +
      '0 is the original image',
    default: 0.65,
    minimum: 0,
    maximum: 1,
  }),
  prompt_strength: number({
    description:
      'Strength of the prompt. This is the CFG scale, higher numbers lead to stronger prompt, lower numbers will keep ' +
      'more of a likeness to the original.',
    default: 4.5,
    minimum: 0,
    maximum: 20,
  }),
  control_depth_strength: number({
    description: 'Strength of depth controlnet. The bigger this is, the more controlnet affects the output.',
    default: 0.8,
    minimum: 0,
    maximum: 1,
  }),
  instant_id_strength: number({
    description: 'How strong the InstantID will be.',
    default: 1,
    minimum: 0,
    maximum: 1,
  }),
  seed: integer({ description: 'Fix the random seed for reproducibility', optional: true, wide: true }),
  custom_lora_url: lora({
    description:
      'URL to a Replicate custom LoRA. Must be in the format https://replicate.delivery/pbxt/[id]/trained_model.tar or ' +
      'https://pbxt.replicate.delivery/[id]/trained_model.tar',
    optional: true,
  }),
  lora_scale: number({ description: 'How strong the LoRA will be', default: 1, minimum: 0, maximum: 1 }),
};
