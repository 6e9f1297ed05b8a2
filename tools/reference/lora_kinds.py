"""
LoRAs of every kind that ComfyUI applies, on the small networks of networks.py, unets.py and encoders.py:
test/fixtures/networks/lora-{loha,lokr,glora,differences,dora,in-turn,kinds-text}/. ComfyUI's own `load_lora` and
`calculate_weight` at ae77590b read the files and change the weights; diffusers and transformers run the networks.

Not theirs: Kronecker products of matrices that do not lie in order. PyTorch before 2026 cannot make them (its issue 54135),
so that ComfyUI logs an error and leaves convolutions of a LoKr with a core as they were.
"""

import sys

import fixtures

# ComfyUI reads them when it is imported.
arguments, sys.argv = sys.argv, [sys.argv[0], "--cpu"]
sys.path.insert(0, str(fixtures.sources / "ComfyUI"))

import copy  # noqa: E402

import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()

import comfy.lora  # noqa: E402
import comfy.model_patcher  # noqa: E402
import torch  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

sys.argv = arguments

from loras import folder, kohya, open_text, open_unet, original, write  # noqa: E402
from networks import unet_inputs  # noqa: E402
from unets import inputs_of, run_unet, sdxl_unet  # noqa: E402

kronecker = torch.kron
torch.kron = lambda a, b: kronecker(a.contiguous(), b.contiguous())
comfy_source = {"comfyanonymous/ComfyUI": "ae77590b"}


def patched(model, loras, name_of):
    """The network as ComfyUI leaves it. `name_of` gives the name of a layer in the files."""
    model = copy.deepcopy(model)
    keys = [key for key in model.state_dict() if key.endswith(".weight")]
    names = {name_of(key.removesuffix(".weight")): key for key in keys}
    patcher = comfy.model_patcher.ModelPatcher(model, torch.device("cpu"), torch.device("cpu"))
    for tensors, scale in loras:
        patches = comfy.lora.load_lora(tensors, names)
        applied = patcher.add_patches(patches, scale)
        assert set(applied) == set(patches), "the network lacks what the file changes"
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with torch.no_grad():
        patcher.patch_model()
    same = [key for key in patcher.patches if torch.equal(model.state_dict()[key], before[key])]
    assert not same, f"ComfyUI did not apply all: {same}"
    return model


class Kinds:
    """
    Makes what changes a layer: each kind in all of its forms in turn. Ranks differ from layer to layer, and some have no
    alpha. What is added has elements of about the size of the weights.
    """

    def __init__(self, seed, dtype=torch.float32):
        self.generator = torch.Generator().manual_seed(seed)
        self.dtype = dtype
        self.count = 0

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
                self.count += 1
                parts = getattr(self, kind)(weight.detach())
                if biases and bias is not None:
                    parts["diff_b"] = self.random(*bias.shape, fan_in=9)
            tensors |= {f"{name_of(name)}.{part}": value for part, value in parts.items()}
        return tensors


def unet_case(name, base, inputs, name_of, loras):
    model = open_unet(base)
    expected = run_unet(patched(model, loras, name_of), inputs)
    write(name, "unet", base, inputs, {"sample": expected}, run_unet(model, inputs), loras, sources=comfy_source)


def unets():
    small, sdxl = open_unet("unet"), open_unet("unet-sdxl")
    inputs = unet_inputs(500, 2, 6, 10, 301.0, 20)
    name_of = kohya("lora_unet_")
    for kind, seed, scale in (("loha", 510, 0.7), ("lokr", 520, 0.6), ("glora", 530, -0.5), ("dora", 540, 0.8)):
        tensors = Kinds(seed).file(small, name_of, kind)
        unet_case(f"lora-{kind}", "unet", inputs, name_of, [(tensors, scale)])
    tensors = Kinds(550, torch.float16).file(small, name_of, "difference", biases=True, norms=True)
    unet_case("lora-differences", "unet", inputs, name_of, [(tensors, 0.4)])

    # One after another on the same layers, of which some are low rank in all files, by the names of the training code.
    name_of = lambda name: kohya("lora_unet_")(original(name) if "_block" in name else name)
    blocks = lambda name: "_block" in name
    files = [
        (Kinds(560).file(sdxl, name_of, "dora", lambda name: blocks(name) and "resnets" not in name, norms=True), 0.5),
        (Kinds(561).file(sdxl, name_of, "glora", lambda name: blocks(name) and "attn2" not in name), 0.9),
        (Kinds(562, torch.float16).file(sdxl, name_of, "lora", blocks), -0.3),
    ]
    unet_case("lora-in-turn", "unet-sdxl", inputs_of(sdxl_unet, 501, 2, 6, 10, 301.0), name_of, files)


def texts():
    model = open_text("clip-text-projection")
    inputs = load_file(folder / "clip-text-projection" / "inputs.safetensors")
    name_of = kohya("lora_te2_")
    keep = lambda name: ".self_attn." in name or ".mlp." in name
    loras = [(Kinds(570 + index).file(model, name_of, "any", keep, biases=index == 0), scale) for index, scale in enumerate((0.6, 0.8))]
    run = lambda network: network(inputs["input_ids"], output_hidden_states=True)
    with torch.no_grad():
        result, plain = run(patched(model, loras, name_of)), run(model)
    expected = {"hidden_states.2": result.hidden_states[2], "text_embeds": result.text_embeds}
    write("lora-kinds-text", "clip-text", "clip-text-projection", inputs, expected, plain.hidden_states[2], loras, sources=comfy_source)


if __name__ == "__main__":
    unets()
    texts()
