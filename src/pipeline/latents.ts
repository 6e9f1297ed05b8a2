/** Latents of a picture: from the encoder's moments to where a sampler starts. */
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

/**
 * Where image-to-image starts: the picture with noise of deviation `sigma` on top. At the greatest noise of all, ComfyUI
 * takes the noise that a run without a picture starts from, √(1 + σ²), and still adds the picture. After
 * comfyanonymous/ComfyUI at ae77590b `comfy/model_sampling.py` (`EPS.noise_scaling`), `comfy/samplers.py` (`max_denoise`).
 */
export function startFromPicture(
  latents: Float32Array,
  noise: Float32Array,
  sigma: number,
  greatestSigma: number,
): Float32Array {
  const isGreatest = sigma > greatestSigma || greatestSigma - sigma <= 1e-5 * greatestSigma;
  const deviation = isGreatest ? Math.sqrt(1 + sigma ** 2) : sigma;
  return latents.map((value, index) => value + noise[index]! * deviation);
}
