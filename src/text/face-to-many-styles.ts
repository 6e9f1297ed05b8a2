/**
 * What face-to-many's styles put around a prompt, word for word: fofr/cog-face-to-many at f168c5e `predict.py`
 * (`style_to_prompt`, `style_to_negative_prompt`). MIT licence.
 */
export const faceToManyStyles = {
  '3D': { before: '3D Render Style, 3DRenderAF, ', after: '', unwanted: 'photo, photography, ' },
  Emoji: {
    before: 'memoji, emoji, ',
    after: ', 3d render, sharp',
    unwanted: 'photo, photography, blurry, soft, ',
  },
  'Video game': {
    before: 'Playstation 1 Graphics, PS1 Game, ',
    after: ', Video game screenshot',
    unwanted: 'text, photo, ',
  },
  Pixels: { before: 'Pixel Art, PixArFK, ', after: '', unwanted: 'photo, photography, ' },
  Clay: { before: 'Clay Animation, Clay, ', after: '', unwanted: '' },
  Toy: { before: 'FnkRedmAF, ', after: ', toy, miniature', unwanted: '' },
} as const;

export type FaceToManyStyle = keyof typeof faceToManyStyles;

export function styledPrompts(
  style: FaceToManyStyle,
  prompt: string,
  negativePrompt: string,
): { prompt: string; negativePrompt: string } {
  const { before, after, unwanted } = faceToManyStyles[style];
  const own = negativePrompt === '' ? '' : `${negativePrompt}, `;
  return {
    prompt: before + prompt + after,
    negativePrompt: `${unwanted}nsfw, nude, oversaturated, ${own}ugly, broken, watermark`,
  };
}
