"""Makes random LoRAs of every kind that ComfyUI applies, for the scripts beside this file."""

import torch


class Kinds:
    """
    Makes what changes a layer: each kind in all of its forms in turn. Ranks differ from layer to layer, and some have no
    alpha. What is added has elements of about the size of the weights.
    """

    def __init__(self, seed, dtype=torch.float32):
        self.generator = torch.Generator().manual_seed(seed)
        self.dtype = dtype
        self.count = 0

    def next(self, kind, weight):
        self.count += 1
        return getattr(self, kind)(weight)

    def random(self, *shape, fan_in=1):
        return (torch.randn(*shape, generator=self.generator) / fan_in**0.5).to(self.dtype)

    def alpha(self, parts):
        if self.count % 4:
            parts["alpha"] = torch.tensor(self.count % 4 + 0.5).to(self.dtype)
        return parts

    def product(self, a, b, shape, rank, core=None, size=1.0):
        """Of two matrices, or of a core and two, whose elements are about as large as `size` over the fan-in's root."""
        rows, columns, *kernel = shape
        across = torch.Size([columns, *kernel]).numel()
        if core is None:
            return {a: self.random(rows, rank, fan_in=rank), b: size * self.random(rank, across, fan_in=across)}
        kernels = self.random(rank, rank + 1, *(kernel or (1, 1)), fan_in=rank * (rank + 1))
        return {core: kernels, a: self.random(rank, rows), b: size * self.random(rank + 1, columns, fan_in=across)}

    def lora(self, weight):
        rank, kernel = 2 + self.count % 3, weight.shape[2:]
        middle = kernel == (3, 3) and self.count % 2 == 0
        narrow = weight[:, :, :1, :1] if middle else weight
        parts = {
            "lora_up.weight": self.random(weight.shape[0], rank, *[1] * len(kernel), fan_in=rank),
            "lora_down.weight": self.random(rank, *narrow.shape[1:], fan_in=narrow[0].numel()),
        }
        if middle:
            parts["lora_mid.weight"] = self.random(rank, rank, *kernel, fan_in=9 * rank)
        return self.alpha(parts)

    def loha(self, weight):
        has_core = weight.shape[2:] == (3, 3) and self.count % 2 == 0
        cores = ("hada_t1", "hada_t2") if has_core else (None, None)
        root = weight[0].numel() ** 0.5
        first = self.product("hada_w1_a", "hada_w1_b", weight.shape, 2 + self.count % 3, cores[0], size=root)
        return self.alpha({**first, **self.product("hada_w2_a", "hada_w2_b", weight.shape, 1 + self.count % 2, cores[1])})

    def lokr(self, weight):
        form = self.count % 5
        rows, columns = (max(factor for factor in (1, 2, 4) if side % factor == 0) for side in weight.shape[:2])
        rest = (weight.shape[0] // rows, weight.shape[1] // columns, *weight.shape[2:])
        parts = {}
        if form in (0, 1):
            parts["lokr_w1"] = self.random(rows, columns)
        else:
            parts |= self.product("lokr_w1_a", "lokr_w1_b", (rows, columns), 1 + self.count % 2, size=columns**0.5)
        if form in (0, 2):
            parts["lokr_w2"] = self.random(*rest, fan_in=weight[0].numel())
        else:
            core = "lokr_t2" if form == 4 and len(rest) == 4 else None
            parts |= self.product("lokr_w2_a", "lokr_w2_b", rest, 1 + self.count % 3, core)
        return self.alpha(parts)

    def glora(self, weight):
        first, second = 1 + self.count % 3, 2 + self.count % 2
        across, ones = weight[0].numel(), [1] * (weight.dim() - 2)
        return self.alpha(
            {
                "a1.weight": self.random(first, *weight.shape[1:], fan_in=across),
                "a2.weight": self.random(across, first, *ones, fan_in=first),
                "b1.weight": self.random(second, *weight.shape[1:], fan_in=across),
                "b2.weight": self.random(weight.shape[0], second, *ones, fan_in=second),
            }
        )

    def difference(self, weight):
        """Its alpha is without effect."""
        return self.alpha({"diff": self.random(*weight.shape, fan_in=weight[0].numel())})

    def dora(self, weight):
        """Magnitudes for each input; now and then for each output or for all, which ComfyUI divides by lengths as well."""
        parts = (self.lora, self.loha, self.lokr, self.glora)[self.count % 4](weight)
        ones = [1] * (weight.dim() - 2)
        lengths = weight.transpose(0, 1).flatten(1).norm(dim=1)
        shape = [(weight.shape[0], 1, *ones), (1,)][self.count % 7 - 1] if self.count % 7 in (1, 2) else (1, len(lengths), *ones)
        wanted = lengths.reshape(shape) if len(lengths) == torch.Size(shape).numel() else lengths.mean()
        return {**parts, "dora_scale": (wanted * (0.5 + torch.rand(shape, generator=self.generator))).to(self.dtype)}

    def any(self, weight):
        return (self.lokr, self.dora, self.loha, self.glora, self.difference, self.lora)[self.count % 6](weight)

    def file(self, model, name_of, kind, keep=lambda name: True, biases=False, norms=False):
        tensors = {}
        for name, layer in model.named_modules():
            weight, bias = getattr(layer, "weight", None), getattr(layer, "bias", None)
            if weight is None or not keep(name):
                continue
            if weight.dim() == 1:
                parts = {"w_norm": self.random(*weight.shape, fan_in=9), "b_norm": self.random(*bias.shape, fan_in=9)}
                parts = parts if norms else {}
            else:
                parts = self.next(kind, weight.detach())
                if biases and bias is not None:
                    parts["diff_b"] = self.random(*bias.shape, fan_in=9)
            tensors |= {f"{name_of(name)}.{part}": value for part, value in parts.items()}
        return tensors
