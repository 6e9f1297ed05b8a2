"""
Standard normal values as torch draws them: test/fixtures/random/. The CPU stream is torch's own. The CUDA stream needs
a GPU; `cuda-normals.json` is the recipe of its source, written out plainly in numpy float64, at thread counts so small
that the values take several rounds.
"""

import numpy
import torch

from fixtures import fixtures, write_json, write_provenance

folder = fixtures / "random"
seeds = [0, 42, 2**32 + 7, -1, 2**63 + 5, -(2**63)]
# Small draws keep their second value for the next small draw; 16 and more go another way.
counts = [5, 3, 19, 4, 16, 1, 33]


def cpu_streams():
    streams = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        draws = [torch.randn(count, generator=generator).tolist() for count in counts]
        streams.append({"seed": str(seed), "draws": draws})
    return streams


def philox(counter, key):
    for _ in range(10):
        product0, product1 = counter[0] * 0xD2511F53, counter[2] * 0xCD9E8D57
        counter = [
            (product1 >> 32) ^ counter[1] ^ key[0],
            product1 & 0xFFFFFFFF,
            (product0 >> 32) ^ counter[3] ^ key[1],
            product0 & 0xFFFFFFFF,
        ]
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return counter


def cuda_draw(seed, offset, count, threads):
    values = [0.0] * count
    rounds = (count - 1) // (4 * threads) + 1
    for thread in range(threads):
        for turn in range(rounds):
            counter = offset // 4 + turn
            words = philox([counter & 0xFFFFFFFF, counter >> 32, thread, 0], [seed & 0xFFFFFFFF, seed >> 32])
            for k in range(4):
                position = thread + threads * (4 * turn + k)
                if position >= count:
                    continue
                x, y = words[2 * (k // 2)], words[2 * (k // 2) + 1]
                u = x * 2.0**-32 + 2.0**-33
                v = (y + 0.5) * 2 * numpy.pi * 2.0**-32
                wave = numpy.sin(v) if k % 2 == 0 else numpy.cos(v)
                values[position] = float(numpy.float32(numpy.sqrt(-2 * numpy.log(u)) * wave))
    return values, offset + 4 * rounds


def cuda_streams():
    streams = []
    for seed, threads in [(0, 8), (2**40 + 3, 5), (2**64 - 1, 16)]:
        offset, draws = 0, []
        for count in [12, 7, 50, 33]:
            values, offset = cuda_draw(seed, offset, count, threads)
            draws.append(values)
        streams.append({"seed": str(seed), "residentThreads": threads, "draws": draws})
    return streams


write_json(folder / "cpu-normals.json", cpu_streams(), indent=None)
write_json(folder / "cuda-normals.json", cuda_streams(), indent=None)
write_provenance(folder, ["torch", "numpy"], seeds=[str(seed) for seed in seeds])
