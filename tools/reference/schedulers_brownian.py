"""
torchsde's Brownian tree and ComfyUI's `dpmpp_2m_sde` on it: test/fixtures/schedulers/brownian-*.json and
dpmpp-2m-sde.json. The tree is torchsde's own, as k-diffusion asks it; trees that draw on a CUDA device get their
normal values from philox.py. The sampler is k-diffusion's, with the noise table, the ladder and the choice of timesteps
that ComfyUI puts around it.
"""

import importlib
import sys
import types
from pathlib import Path

import numpy
import torch
import torchsde
from torchsde._brownian import brownian_interval

import fixtures
import philox
from schedulers_torch import use_linspace_of_torch_2

folder = fixtures.fixtures / "schedulers"


def load_k_diffusion():
    """Its sampling module alone: the package as a whole wants libraries for training."""
    package = types.ModuleType("k_diffusion")
    package.__path__ = [str(Path(__file__).resolve().parent / ".venv" / "k-diffusion" / "k_diffusion")]
    sys.modules["k_diffusion"] = package
    for name in ["torchdiffeq", "torchvision", "torchvision.transforms", "torchvision.transforms.functional"]:
        sys.modules.setdefault(name, types.ModuleType(name))
    sys.modules["torchdiffeq"].odeint = None
    sys.modules["torchvision"].transforms = sys.modules["torchvision.transforms"]
    sys.modules["torchvision.transforms"].functional = sys.modules["torchvision.transforms.functional"]
    return importlib.import_module("k_diffusion.sampling")


use_linspace_of_torch_2()
sampling = load_k_diffusion()
torch_randn = brownian_interval._randn


def cuda_randn(size, dtype, device, seed):
    values, _ = philox.draw(int(seed), 0, int(numpy.prod(size)))
    return torch.tensor(values, dtype=dtype).reshape(size)


def seed_sequences():
    cases = [(0, [], 3), (1234, [], 3), (0, [1, 1], 4), (1234, [0, 0], 4), (2**40 + 5, [3, 2], 2), (2**64 - 1, [9, 4], 5)]
    return [
        {
            "entropy": str(entropy),
            "path": path,
            "words": numpy.random.SeedSequence(entropy, spawn_key=path, pool_size=24).generate_state(words).tolist(),
        }
        for entropy, path, words in cases
    ]


def trees():
    result = []
    for device, count, seed, start, end in [
        ("cpu", 19, 7, 0.029167158529162407, 14.61464123725891),
        ("cpu", 5, 2**40 + 1, 0.25, 3.0078125),
        ("cuda", 6, 1234, 0.029167158529162407, 2.7600765228271484),
    ]:
        brownian_interval._randn = torch_randn if device == "cpu" else cuda_randn
        tree = torchsde.BrownianTree(start, torch.zeros(count), end, entropy=seed)
        # Neighbours, a span over several, both ends of the interval, beyond it, ties at the sixth decimal, a point.
        queries = [(1.1, 2.5), (0.7, 1.1), (0.7, 2.5), (start, end), (0.0, 0.7), (2.0078125, 2.5), (1.0000015, 1.5)]
        queries.append((2.5, 2.5))
        increments = [tree(torch.tensor(a), torch.tensor(b)).tolist() for a, b in queries]
        asked = [[torch.tensor(a).item(), torch.tensor(b).item()] for a, b in queries]
        result.append(
            {
                "device": device,
                "seed": str(seed),
                "count": count,
                "start": start,
                "end": end,
                "queries": asked,
                "increments": increments,
            }
        )
    return result


class ComfyModel:
    """ComfyUI's ModelSamplingDiscrete around a network that is a formula; the tests evaluate the same one."""

    def __init__(self):
        betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
        alphas = torch.cumprod(1.0 - betas, dim=0)
        sigmas = ((1 - alphas) / alphas) ** 0.5
        self.sigmas, self.log_sigmas = sigmas.float(), sigmas.log().float()
        self.timesteps = []

    def ladder(self, steps, denoise):
        points = steps if denoise > 0.9999 else int(steps / denoise)
        sigmas = sampling.get_sigmas_karras(points, float(self.sigmas[0]), float(self.sigmas[-1]))
        return sigmas[-(steps + 1) :]

    def __call__(self, latents, sigma):
        sigma = sigma.view(-1, 1, 1, 1)
        timestep = (sigma.log().view(-1) - self.log_sigmas[:, None]).abs().argmin(dim=0)[0].item()
        self.timesteps.append(timestep)
        scaled = latents / (sigma**2 + 1) ** 0.5
        return latents - sigma * (0.8 * torch.tanh(scaled) + 0.05 * numpy.cos(0.01 * timestep))


def samplers():
    result = []
    for steps, denoise, seed, device in [(17, 0.65, 0, "cuda"), (17, 1.0, 1234, "cuda"), (4, 0.3, 2**33 + 1, "cpu"), (2, 1.0, 5, "cpu")]:
        brownian_interval._randn = torch_randn if device == "cpu" else cuda_randn
        model = ComfyModel()
        sigmas = model.ladder(steps, denoise)
        generator = torch.Generator().manual_seed(3)
        latents = torch.randn(1, 2, 3, 3, generator=generator) * sigmas[0]
        noise = sampling.BrownianTreeNoiseSampler(latents, sigmas[sigmas > 0].min(), sigmas.max(), seed=seed)
        draws, samples = [], []

        def draw(sigma, sigma_next):
            draws.append(noise(sigma, sigma_next))
            return draws[-1]

        end = sampling.sample_dpmpp_2m_sde(
            model,
            latents,
            sigmas,
            noise_sampler=draw,
            disable=True,
            callback=lambda state: samples.append(state["x"]),
        )
        flat = lambda tensors: [tensor.flatten().tolist() for tensor in tensors]
        result.append(
            {
                "steps": steps,
                "denoise": denoise,
                "seed": str(seed),
                "device": device,
                "sigmas": sigmas.tolist(),
                "timesteps": model.timesteps,
                "start": latents.flatten().tolist(),
                "noise": flat(draws),
                "samples": flat([*samples[1:], end]),
            }
        )
    return result


fixtures.write_json(folder / "seed-sequence.json", seed_sequences(), indent=None)
fixtures.write_json(folder / "brownian-tree.json", trees(), indent=None)
fixtures.write_json(folder / "dpmpp-2m-sde.json", samplers(), indent=None)
