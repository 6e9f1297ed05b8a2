/** What a picture will look like, read off its latents without the decoder: every pixel is a sum of four numbers. */
import type { RgbImage } from '../base/image.ts';
import type { PredictContext } from '../catalog/model.ts';

export interface LatentColours {
  /** For each channel of the latents its share in red, green and blue. */
  shares: readonly (readonly [number, number, number])[];
  /** What a share of 1 adds to a byte. */
  scale: number;
  /** Bytes of a pixel whose latents are zero. */
  grey: readonly [number, number, number];
}

/**
 * Fitted by Kevin Turner on Stable Diffusion 1.4, whose autoencoder is that of 1.5:
 * https://discuss.huggingface.co/t/decoding-latents-to-rgb-without-upscaling/23204/2
 */
export const stableDiffusionColours: LatentColours = {
  shares: [
    [0.298, 0.207, 0.208],
    [0.187, 0.286, 0.173],
    [-0.158, 0.189, 0.264],
    [-0.184, -0.271, -0.473],
  ],
  scale: 127.5,
  grey: [127.5, 127.5, 127.5],
};

/**
 * For Stable Diffusion XL, by Timothy Alexis Vass:
 * https://github.com/huggingface/diffusers/blob/8de3e5e81d32c0456bb3b032f95e0e022361dafe/docs/source/en/using-diffusers/callback.md
 */
export const stableDiffusionXlColours: LatentColours = {
  shares: [
    [60, 60, 60],
    [-60, -5, 10],
    [25, 15, -5],
    [-70, -50, -35],
  ],
  scale: 1,
  grey: [150, 140, 130],
};

export interface LatentSize {
  width: number;
  height: number;
  /** Of a film; its first is shown. */
  frames?: number;
}

/** `onStep` for a sampler: reports the step, and shows the picture to those who watch. */
export function stepWithPreview(
  { step, preview }: Pick<PredictContext, 'step' | 'preview'>,
  colours: LatentColours,
  size: LatentSize,
): (current: number, total: number, latents: Float32Array) => void {
  return (current, total, latents) => {
    step(current, total);
    preview(() => latentsToPicture(latents, colours, size));
  };
}

/** The first picture of a batch, one pixel for each place of the latents. */
export function latentsToPicture(
  latents: Float32Array, // [B, C, F, H, W]
  { shares, scale, grey }: LatentColours,
  { width, height, frames = 1 }: LatentSize,
): RgbImage {
  const count = width * height;
  const stride = frames * count;
  // Latents of the sigma samplers grow with the noise; the colours are those of unit variance.
  let squares = 0;
  for (let channel = 0; channel < shares.length; channel++) {
    for (let place = 0; place < count; place++) squares += latents[channel * stride + place]! ** 2;
  }
  const size = Math.max(1, Math.sqrt(squares / (count * shares.length)));
  const data = new Uint8ClampedArray(count * 3);
  for (let place = 0; place < count; place++) {
    for (let colour = 0; colour < 3; colour++) {
      let sum = 0;
      for (const [channel, share] of shares.entries()) sum += share[colour]! * latents[channel * stride + place]!;
      data[place * 3 + colour] = grey[colour]! + (scale * sum) / size;
    }
  }
  return { width, height, channels: 3, data: new Uint8Array(data.buffer) };
}
