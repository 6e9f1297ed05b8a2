"""
Standard normal and uniform values as torch draws them: test/fixtures/random/. The CPU streams are torch's own. The CUDA
stream needs a GPU; `cuda-normals.json` is the recipe of its source, written out in philox.py, at thread counts so small
that the values take several rounds.
"""

import torch

import philox
from fixtures import fixtures, write_json, write_provenance

folder = fixtures / "random"
seeds = [0, 42, 2**32 + 7, -1, 2**63 + 5, -(2**63)]
# Small draws keep their second value for the next small draw; 16 and more go another way.
counts = [5, 3, 19, 4, 16, 1, 33]


def cpu_streams(draw):
    streams = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        draws = [draw(count, generator=generator).tolist() for count in counts]
        streams.append({"seed": str(seed), "draws": draws})
    return streams


def cuda_streams():
    streams = []
    for seed, threads in [(0, 8), (2**40 + 3, 5), (2**64 - 1, 16)]:
        offset, draws = 0, []
        for count in [12, 7, 50, 33]:
            values, offset = philox.draw(seed, offset, count, threads)
            draws.append(values)
        streams.append({"seed": str(seed), "residentThreads": threads, "draws": draws})
    return streams


write_json(folder / "cpu-normals.json", cpu_streams(torch.randn), indent=None)
write_json(folder / "cpu-uniforms.json", cpu_streams(torch.rand), indent=None)
write_json(folder / "cuda-normals.json", cuda_streams(), indent=None)
write_provenance(folder, ["torch", "numpy"], seeds=[str(seed) for seed in seeds])
