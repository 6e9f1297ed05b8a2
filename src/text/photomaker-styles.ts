/**
 * The style templates of PhotoMaker, word for word, in the order of the published enumeration: TencentARC/PhotoMaker at
 * 6ec44fc `gradio_demo/style_template.py`. Copyright (C) 2024 THL A29 Limited, a Tencent company; Apache License 2.0.
 * The two blanks in "Fantasy art" and the spelling of "Disney Charactor" are the original's.
 */

interface StyleTemplate {
  /** `{prompt}` is where the prompt goes. */
  prompt: string;
  negativePrompt: string;
}

export const photomakerStyles = {
  '(No style)': {
    prompt: '{prompt}',
    negativePrompt: '',
  },
  Cinematic: {
    prompt:
      'cinematic still {prompt} . emotional, harmonious, vignette, highly detailed, high budget, bokeh, ' +
      'cinemascope, moody, epic, gorgeous, film grain, grainy',
    negativePrompt:
      'anime, cartoon, graphic, text, painting, crayon, graphite, abstract, glitch, deformed, mutated, ugly, ' +
      'disfigured',
  },
  'Disney Charactor': {
    prompt: 'A Pixar animation character of {prompt} . pixar-style, studio anime, Disney, high-quality',
    negativePrompt:
      'lowres, bad anatomy, bad hands, text, bad eyes, bad arms, bad legs, error, missing fingers, extra ' +
      'digit, fewer digits, cropped, worst quality, low quality, normal quality, jpeg artifacts, signature, ' +
      'watermark, blurry, grayscale, noisy, sloppy, messy, grainy, highly detailed, ultra textured, photo',
  },
  'Digital Art': {
    prompt: 'concept art {prompt} . digital artwork, illustrative, painterly, matte painting, highly detailed',
    negativePrompt: 'photo, photorealistic, realism, ugly',
  },
  'Photographic (Default)': {
    prompt: 'cinematic photo {prompt} . 35mm photograph, film, bokeh, professional, 4k, highly detailed',
    negativePrompt: 'drawing, painting, crayon, sketch, graphite, impressionist, noisy, blurry, soft, deformed, ugly',
  },
  'Fantasy art': {
    prompt:
      'ethereal fantasy concept art of  {prompt} . magnificent, celestial, ethereal, painterly, epic, ' +
      'majestic, magical, fantasy art, cover art, dreamy',
    negativePrompt:
      'photographic, realistic, realism, 35mm film, dslr, cropped, frame, text, deformed, glitch, noise, ' +
      'noisy, off-center, deformed, cross-eyed, closed eyes, bad anatomy, ugly, disfigured, sloppy, duplicate, ' +
      'mutated, black and white',
  },
  Neonpunk: {
    prompt:
      'neonpunk style {prompt} . cyberpunk, vaporwave, neon, vibes, vibrant, stunningly beautiful, crisp, ' +
      'detailed, sleek, ultramodern, magenta highlights, dark purple shadows, high contrast, cinematic, ultra ' +
      'detailed, intricate, professional',
    negativePrompt: 'painting, drawing, illustration, glitch, deformed, mutated, cross-eyed, ugly, disfigured',
  },
  Enhance: {
    prompt: 'breathtaking {prompt} . award-winning, professional, highly detailed',
    negativePrompt: 'ugly, deformed, noisy, blurry, distorted, grainy',
  },
  'Comic book': {
    prompt: 'comic {prompt} . graphic illustration, comic art, graphic novel art, vibrant, highly detailed',
    negativePrompt: 'photograph, deformed, glitch, noisy, realistic, stock photo',
  },
  Lowpoly: {
    prompt:
      'low-poly style {prompt} . low-poly game art, polygon mesh, jagged, blocky, wireframe edges, centered ' +
      'composition',
    negativePrompt: 'noisy, sloppy, messy, grainy, highly detailed, ultra textured, photo',
  },
  'Line art': {
    prompt: 'line art drawing {prompt} . professional, sleek, modern, minimalist, graphic, line art, vector graphics',
    negativePrompt:
      'anime, photorealistic, 35mm film, deformed, glitch, blurry, noisy, off-center, deformed, cross-eyed, ' +
      'closed eyes, bad anatomy, ugly, disfigured, mutated, realism, realistic, impressionism, expressionism, ' +
      'oil, acrylic',
  },
} satisfies Record<string, StyleTemplate>;

export type PhotomakerStyle = keyof typeof photomakerStyles;

export const photomakerStyleNames = Object.keys(photomakerStyles) as PhotomakerStyle[];

/** Prompts inside of the style's, after the original's `apply_style`; a blank joins the negative ones, empty or not. */
export function applyStyle(style: PhotomakerStyle, prompt: string, negativePrompt: string) {
  const template = photomakerStyles[style];
  return {
    // By a function: in a text, `$&` would have a meaning.
    prompt: template.prompt.replace('{prompt}', () => prompt),
    negativePrompt: `${template.negativePrompt} ${negativePrompt}`,
  };
}
