"""
Latents of a picture: drawn from an autoencoder's moments by diffusers 0.24.0, and the start of an image-to-image run by
ComfyUI's `noise_scaling`, in the copy of lllyasviel/Fooocus: test/fixtures/latents/.
"""

import sys
import types

import torch
from diffusers.models.vae import DiagonalGaussianDistribution

import fixtures

folder = fixtures.fixtures / "latents"

if __name__ == "__main__":
    generator = torch.Generator().manual_seed(220)
    moments = torch.randn(2, 8, 3, 5, generator=generator)
    moments[:, 4:] *= 30  # beyond the limits of the variance, on both sides
    moments[:, 4:].clamp_(max=3)
    moments[1, 7, 0, 0] = 25
    drawn = DiagonalGaussianDistribution(moments)
    noise = torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(221))
    sample = drawn.sample(torch.Generator().manual_seed(221))
    # Noise tables, which take no part here.
    sys.modules["ldm_patched"] = types.ModuleType("ldm_patched")
    for name in ("ldm", "ldm.modules", "ldm.modules.diffusionmodules", "ldm.modules.diffusionmodules.util"):
        sys.modules[f"ldm_patched.{name}"] = types.SimpleNamespace(make_beta_schedule=None)
    sampling = fixtures.source("Fooocus", "ldm_patched/modules/model_sampling.py")
    latent = sample.clamp(-3, 3) * 0.13025

    def start(sigma, greatest):
        return sampling.EPS().noise_scaling(torch.tensor(sigma), noise.clone(), latent.clone(), greatest)

    tensors = {
        "moments": moments,
        "noise": noise,
        "sample": sample,
        "mode": drawn.mode(),
        "latent": latent,
        "start": start(2.760077, False),
        "start_greatest": start(14.614643, True),
    }
    fixtures.save_tensors(folder / "latents.safetensors", tensors)
    fixtures.write_provenance(folder, ["torch", "diffusers"], seeds=[220, 221], sources={"lllyasviel/Fooocus": "59f183a"})
