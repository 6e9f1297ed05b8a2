"""
PyTorch 2's `torch.linspace` for an older PyTorch, whose result in float32 depends on the width of the machine's vectors.
Noise tables begin with it, and third-order solvers multiply the difference a thousand times.
"""

import numpy
import torch

older_linspace = torch.linspace


def linspace(start, end, steps, dtype=torch.float32, **options):
    """
    aten/src/ATen/native/cpu/RangeFactoriesKernel.cpp of PyTorch 2.2, compiled with fused multiply-add: one product,
    exact in float64, is added and rounded once.
    """
    if dtype != torch.float32:
        return older_linspace(start, end, steps, dtype=dtype, **options)
    first, last = numpy.float32(start), numpy.float32(end)
    if steps == 1:
        return torch.tensor([first])
    step = numpy.float64((last - first) / numpy.float32(steps - 1))
    index = numpy.arange(steps, dtype=numpy.float64)
    low = (numpy.float64(first) + step * index).astype(numpy.float32)
    high = (numpy.float64(last) - step * (steps - 1 - index)).astype(numpy.float32)
    return torch.from_numpy(numpy.where(index < steps // 2, low, high))


def use_linspace_of_torch_2():
    torch.linspace = linspace
