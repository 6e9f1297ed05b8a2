"""
LoRAs in the layouts that trainers write, on the small networks of networks.py, unets.py and encoders.py:
test/fixtures/networks/lora-*/. Where diffusers 0.24.0 reads the layout, its own loader computes what is expected, and the
formula W + scale * alpha / rank * up * down is checked against it; elsewhere the formula is the reference.
"""

import copy
import json

import torch
from diffusers import UNet2DConditionModel
from diffusers.loaders import LoraLoaderMixin
from safetensors.torch import load_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from fixtures import save_tensors, write_json, write_provenance
from networks import folder, unet_inputs
from unets import inputs_of, run_unet, sdxl_unet

layer_types = (torch.nn.Linear, torch.nn.Conv2d)


def open_unet(case):
    config = json.loads((folder / case / "config.json").read_text())
    model = UNet2DConditionModel.from_config(config).eval()
    model.load_state_dict(load_file(folder / case / "weights.safetensors"))
    return model


def open_text(case):
    config = CLIPTextConfig(**json.loads((folder / case / "config.json").read_text()))
    weights = load_file(folder / case / "weights.safetensors")
    model = (CLIPTextModelWithProjection if "text_projection.weight" in weights else CLIPTextModel)(config).eval()
    model.load_state_dict(weights, strict=False)
    return model


class Maker:
    """Makes the matrices of layers; ranks and alphas differ from layer to layer, and some have no alpha."""

    def __init__(self, seed, dtype=torch.float32, alphas=True):
        self.generator = torch.Generator().manual_seed(seed)
        self.dtype = dtype
        self.alphas = alphas
        self.count = 0

    def random(self, *shape):
        fan_in = torch.Size(shape[1:]).numel()
        return (torch.randn(*shape, generator=self.generator) / fan_in**0.5).to(self.dtype)

    def make(self, layer, middle=False):
        self.count += 1
        rank = 2 + self.count % 3
        weight = layer.weight
        kernel = weight.shape[2:]
        parts = {}
        if middle:
            parts["down"] = self.random(rank, weight.shape[1], 1, 1)
            parts["middle"] = self.random(rank, rank, *kernel)
        else:
            parts["down"] = self.random(rank, *weight.shape[1:])
        parts["up"] = self.random(weight.shape[0], rank, *[1] * len(kernel))
        if self.alphas and self.count % 4:
            parts["alpha"] = torch.tensor(self.count % 4 + 0.5).to(self.dtype)
        return parts


def difference(parts):
    """What the LoRA adds to the weights of a layer, without its scale."""
    down, up = parts["down"].float(), parts["up"].float()
    rank = down.shape[0]
    if "middle" in parts:
        product = torch.einsum("or,rskl,si->oikl", up[:, :, 0, 0], parts["middle"].float(), down[:, :, 0, 0])
    else:
        product = (up.flatten(1) @ down.flatten(1)).reshape(up.shape[0], *down.shape[1:])
    return product * (float(parts.get("alpha", rank)) / rank)


@torch.no_grad()
def merged(model, loras):
    model = copy.deepcopy(model)
    for layers, scale in loras:
        for name, parts in layers.items():
            weight = model.get_submodule(name).weight
            weight += scale * difference(parts).reshape(weight.shape)
    return model


def named(layers, name_of, parts_of):
    return {f"{name_of(name)}{parts_of[part]}": value for name, parts in layers.items() for part, value in parts.items()}


kohya_parts = {
    "down": ".lora_down.weight",
    "middle": ".lora_mid.weight",
    "up": ".lora_up.weight",
    "alpha": ".alpha",
}


def kohya(prefix):
    return lambda name: prefix + name.replace(".", "_")


def original(name):
    """The layer's name in Stability-AI/generative-models, from which sd-scripts makes its names for SDXL."""
    head, *rest = name.split(".")
    inner = {"conv1": "in_layers.2", "conv2": "out_layers.3", "time_emb_proj": "emb_layers.1", "conv_shortcut": "skip_connection"}
    inner |= {"norm1": "in_layers.0", "norm2": "out_layers.0"}
    if head == "mid_block":
        kind, index, *rest = rest
        place = "middle_block.1" if kind == "attentions" else f"middle_block.{2 * int(index)}"
    else:
        level, kind, index, *rest = rest
        if head == "down_blocks":
            number = 1 + 3 * int(level) + (2 if kind == "downsamplers" else int(index))
            place = f"input_blocks.{number}.{1 if kind == 'attentions' else 0}"
        else:
            number = 3 * int(level) + (2 if kind == "upsamplers" else int(index))
            place = f"output_blocks.{number}.{ {'resnets': 0, 'attentions': 1, 'upsamplers': 2}[kind] }"
        if kind == "downsamplers":
            rest = ["op"]
    if kind == "resnets":
        rest = [inner[rest[0]]]
    return ".".join([place, *rest])


def processor(name):
    path, layer = name.removesuffix(".0").rsplit(".", 1)
    return f"unet.{path}.processor.{layer}"


def layers_of(model, keep):
    return [(name, layer) for name, layer in model.named_modules() if isinstance(layer, layer_types) and keep(name)]


def is_block(name):
    return "_block" in name


def is_attention(name):
    return any(name.endswith(end) for end in (".to_q", ".to_k", ".to_v", ".to_out.0"))


def loaded(model, tensors, scale):
    """Through the loader of diffusers."""
    model = copy.deepcopy(model)
    state, alphas = LoraLoaderMixin.lora_state_dict(dict(tensors), unet_config=model.config)
    LoraLoaderMixin.load_lora_into_unet(state, network_alphas=alphas, unet=model)
    model.fuse_lora(scale)
    return model


def write(name, network, base, inputs, expected, plain, loras, **facts):
    """`loras`: tensors and scale of each."""
    case = folder / name
    entries = []
    for index, (tensors, scale) in enumerate(loras):
        file = f"lora-{index}.safetensors"
        save_tensors(case / file, tensors)
        entries.append({"file": file, "scale": scale})
    save_tensors(case / "inputs.safetensors", inputs)
    save_tensors(case / "expected.safetensors", expected)
    write_json(
        case / "case.json",
        {
            "kind": "network",
            "network": network,
            "config": f"../{base}/config.json",
            "weights": [f"../{base}/weights.safetensors"],
            "inputs": "inputs.safetensors",
            "expected": "expected.safetensors",
            "options": {"loras": entries},
            "tolerance": {"relL2": 1e-4},
        },
    )
    write_provenance(case, ["torch", "diffusers", "transformers", "safetensors"], **facts)
    output = next(iter(expected))
    effect = (expected[output] - plain).norm() / plain.norm()
    assert effect > 0.1, "the LoRA changes too little to be seen"
    print(f"{name}: changes the output by {effect:.2f}")


def unet_case(name, base, inputs, layers, tensors, scale, through_loader):
    model = open_unet(base)
    expected = run_unet(merged(model, [(layers, scale)]), inputs)
    if through_loader:
        by_formula = expected
        expected = run_unet(loaded(model, tensors, scale), inputs)
        assert (expected - by_formula).norm() < 1e-5 * expected.norm(), "the loader does something else"
    write(name, "unet", base, inputs, {"sample": expected}, run_unet(model, inputs), [(tensors, scale)])


def unets():
    small, sdxl = open_unet("unet"), open_unet("unet-sdxl")
    small_inputs = unet_inputs(400, 2, 6, 10, 301.0, 20)
    sdxl_inputs = inputs_of(sdxl_unet, 401, 2, 6, 10, 301.0)

    make = Maker(410, torch.float16).make
    of_kohya = {name: make(layer) for name, layer in layers_of(small, is_block)}
    tensors = named(of_kohya, kohya("lora_unet_"), kohya_parts)
    unet_case("lora-kohya", "unet", small_inputs, of_kohya, tensors, 0.7, through_loader=True)

    make = Maker(420).make
    layers = {name: make(layer) for name, layer in layers_of(sdxl, is_block)}
    tensors = named(layers, lambda name: kohya("lora_unet_")(original(name)), kohya_parts)
    unet_case("lora-kohya-original-names", "unet-sdxl", sdxl_inputs, layers, tensors, 0.6, through_loader=True)

    make = Maker(430, alphas=False).make
    layers = {name: make(layer) for name, layer in layers_of(sdxl, is_attention)}
    tensors = named(layers, processor, {"down": "_lora.down.weight", "up": "_lora.up.weight"})
    unet_case("lora-processors", "unet-sdxl", sdxl_inputs, layers, tensors, 0.6, through_loader=True)

    # With middle kernels, which diffusers does not read, and on the convolutions outside the blocks.
    make = Maker(440).make
    layers = {
        name: make(layer, middle=layer.weight.shape[-1] == 3 and "conv2" not in name)
        for name, layer in layers_of(small, lambda name: isinstance(small.get_submodule(name), torch.nn.Conv2d))
    }
    tensors = named(layers, kohya("lora_unet_"), kohya_parts)
    unet_case("lora-convolutions", "unet", small_inputs, layers, tensors, 0.5, through_loader=False)

    make = Maker(450, torch.bfloat16).make
    of_peft = {name: make(layer) for name, layer in layers_of(small, lambda name: True)}
    peft_parts = {"down": ".lora_A.default.weight", "up": ".lora_B.default.weight", "alpha": ".alpha"}
    peft = named(of_peft, lambda name: f"base_model.model.unet.{name}", peft_parts)
    loras = [(named(of_kohya, kohya("lora_unet_"), kohya_parts), -0.4), (peft, 0.8)]
    expected = run_unet(merged(small, [(of_kohya, -0.4), (of_peft, 0.8)]), small_inputs)
    plain = run_unet(small, small_inputs)
    write("lora-two", "unet", "unet", small_inputs, {"sample": expected}, plain, loras)


def texts():
    for name, base, te, te_name, seed in (
        ("lora-text", "clip-text", "lora_te1_", "text_encoder", 460),
        ("lora-text-projection", "clip-text-projection", "lora_te2_", "text_encoder_2", 470),
    ):
        model = open_text(base)
        inputs = load_file(folder / base / "inputs.safetensors")
        first, second = Maker(seed), Maker(seed + 1, torch.float16, alphas=False)
        found = layers_of(model, lambda name: "layers." in name)
        of_kohya = {name: first.make(layer) for name, layer in found}
        of_diffusers = {name: second.make(layer) for name, layer in found if "self_attn" in name}
        # Its two generations of names.
        parts = {"down": ".lora_linear_layer.down.weight", "up": ".lora_linear_layer.up.weight"}
        old = {"down": "_lora.down.weight", "up": "_lora.up.weight"}
        diffusers = {}
        for path, made in of_diffusers.items():
            if "layers.0" in path:
                new = path.replace("_proj", "").replace("self_attn.", "self_attn.to_")
                diffusers.update(named({new: made}, lambda name: f"{te_name}.{name}", old))
            else:
                diffusers.update(named({path: made}, lambda name: f"{te_name}.{name}", parts))
        # What is for other networks has to be passed over.
        other = "lora_unet_mid_block_attentions_0_proj_in"
        others = {f"{other}.lora_down.weight": torch.ones(2, 24), f"{other}.lora_up.weight": torch.ones(24, 2)}
        loras = [({**named(of_kohya, kohya(te), kohya_parts), **others}, 0.5), (diffusers, 0.9)]
        run = lambda network: network(inputs["input_ids"], output_hidden_states=True)
        with torch.no_grad():
            result, plain = run(merged(model, [(of_kohya, 0.5), (of_diffusers, 0.9)])), run(model)
        expected = {"last_hidden_state": result.last_hidden_state, "hidden_states.2": result.hidden_states[2]}
        if te == "lora_te2_":
            expected["text_embeds"] = result.text_embeds
        write(name, "clip-text", base, inputs, expected, plain.last_hidden_state, loras)


if __name__ == "__main__":
    unets()
    texts()
