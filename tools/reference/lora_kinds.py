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

from lora_files import Kinds  # noqa: E402
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
