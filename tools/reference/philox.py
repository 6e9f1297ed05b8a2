"""
PyTorch's normal values on a CUDA device, written out plainly (specification in the words of
aten/src/ATen/native/cuda/DistributionTemplates.h): thread `i` of `threads` turns its Philox words into positions
`i + threads * k`. Computed in float64 and rounded once, so it is at least as exact as a GPU.
"""

import numpy

A100_THREADS = 108 * 2048


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


def draw(seed, offset, count, threads=A100_THREADS):
    """Returns the values and the generator's offset after the draw."""
    values = [0.0] * count
    rounds = (count - 1) // (4 * threads) + 1
    for thread in range(min(threads, count)):
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
