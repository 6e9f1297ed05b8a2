/** Latents of a picture, from what the autoencoder's encoder returns. */
import { float32, type Tensor } from '../math/tensor.ts';

/**
 * Draws latents from what the autoencoder's encoder returned; without noise their mean, the most likely ones. After
 * huggingface/diffusers v0.24.0 `models/vae.py` (`DiagonalGaussianDistribution`).
 *
 * @param moments means and logarithms of the variances: [B, 8, H, W]
 * @param noise [B, 4, H, W]
 * @param scalingFactor of the autoencoder: 0.18215 for Stable Diffusion 1.5, 0.13025 for XL
 * @returns [B, 4, H, W], scaled as the UNet sees them
 */
export function latentsFromMoments(
  moments: Tensor<'float32'>,
  noise: Float32Array | undefined,
  scalingFactor: number,
): Tensor<'float32'> {
  const [batch, both, ...space] = moments.dims as [number, number, ...number[]];
  const latents = float32([batch, both / 2, ...space]);
  const size = latents.data.length / batch;
  for (let picture = 0; picture < batch; picture++) {
    for (let index = 0; index < size; index++) {
      const mean = moments.data[2 * picture * size + index]!;
      const logVariance = Math.min(20, Math.max(-30, moments.data[(2 * picture + 1) * size + index]!));
      const deviation = noise ? Math.exp(logVariance / 2) * noise[picture * size + index]! : 0;
      latents.data[picture * size + index] = (mean + deviation) * scalingFactor;
    }
  }
  return latents;
}
