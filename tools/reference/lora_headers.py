"""
Names, types and shapes of every tensor in LoRAs for SDXL, as headers.py writes them: test/fixtures/headers/<file>.json.
Which layers a LoRA has, and how it calls them, follows from the modules of the networks by the rules of its trainer:

- latent consistency: the layers that diffusers v0.24.0 `examples/consistency_distillation/
  train_lcm_distill_lora_sdxl_wds.py` adapts, by the names of its `get_module_kohya_state_dict`;
- kohya-ss/sd-scripts `networks/lora.py`: what is linear in transformers, attentions and multilayer perceptrons, by the
  names of the training code (`library/sdxl_original_unet.py`);
- diffusers' first layout, `save_attn_procs` of v0.21: the projections of attentions. Replicate's trainer of SDXL writes
  it, and so is the part `lora_weights` of photomaker-v1.bin.

Ranks and types are those by which the sizes of the published files come out.
"""

import fixtures

fixtures.use_transformers_4_36()

import diffusers  # noqa: E402
import torch  # noqa: E402
from diffusers import UNet2DConditionModel  # noqa: E402
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection  # noqa: E402

from headers import folder, write_header  # noqa: E402
from original_layout import unet_name  # noqa: E402
from unet_headers import sdxl  # noqa: E402

adapted_by_lcm = (
    ("to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2")
    + ("conv1", "conv2", "conv_shortcut", "downsamplers.0.conv", "upsamplers.0.conv", "time_emb_proj")
)  # fmt: skip


def layers(network, is_adapted):
    return {name: module.weight for name, module in network.named_modules() if is_adapted(name, module)}


def matrices(weight, rank, dtype):
    """`down` and `up`; of a convolution the first has its kernel."""
    out, inside, *kernel = weight.shape
    down = torch.empty(rank, inside, *kernel, dtype=dtype)
    return down, torch.empty(out, rank, *(1 for _ in kernel), dtype=dtype)


def kohya(prefix, adapted, rank):
    tensors = {}
    for name, weight in adapted.items():
        layer = f"{prefix}_{name.replace('.', '_')}"
        down, up = matrices(weight, rank, torch.float16)
        tensors |= {f"{layer}.lora_down.weight": down, f"{layer}.lora_up.weight": up}
        tensors[f"{layer}.alpha"] = torch.empty((), dtype=torch.float16)
    return tensors


def attention_processors(adapted, rank):
    tensors = {}
    for name, weight in adapted.items():
        attention, layer = name.removesuffix(".0").rsplit(".", 1)
        down, up = matrices(weight, rank, torch.float32)
        path = f"unet.{attention}.processor.{layer}_lora"
        tensors |= {f"{path}.down.weight": down, f"{path}.up.weight": up}
    return tensors


def original(name):
    return unet_name(f"{name}.", per_level=3, attention_levels=(0, 1)).removesuffix(".")


def is_linear(name, module):
    return isinstance(module, torch.nn.Linear)


def text_layers(network):
    return layers(network, lambda name, module: is_linear(name, module) and (".self_attn." in name or ".mlp." in name))


if __name__ == "__main__":
    CLIPTextModel._init_weights = CLIPTextModelWithProjection._init_weights = lambda *_: None
    unet = UNet2DConditionModel(
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"), sample_size=128, **sdxl
    )
    adapted = layers(unet, lambda name, _: name.endswith(tuple(f".{layer}" for layer in adapted_by_lcm)))
    write_header("lora-lcm-sdxl", kohya("lora_unet", adapted, rank=64))

    adapted = layers(unet, lambda name, module: is_linear(name, module) and ".attentions." in name)
    tensors = kohya("lora_unet", {original(name): weight for name, weight in adapted.items()}, rank=32)
    write_header("lora-kohya-sdxl", tensors)

    first = CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12)
    second = CLIPTextConfig(
        hidden_size=1280, intermediate_size=5120, num_hidden_layers=32, num_attention_heads=20, projection_dim=1280
    )
    tensors = kohya("lora_te1", text_layers(CLIPTextModel(first)), rank=32)
    tensors |= kohya("lora_te2", text_layers(CLIPTextModelWithProjection(second)), rank=32)
    write_header("lora-kohya-text", tensors)

    adapted = layers(unet, lambda name, module: is_linear(name, module) and (".attn1." in name or ".attn2." in name))
    write_header("lora-attention-sdxl", attention_processors(adapted, rank=32))
    fixtures.write_json(
        folder / "provenance-loras.json",
        {
            "command": "tools/reference/.venv/bin/python tools/reference/lora_headers.py",
            "packages": {"torch": torch.__version__, "diffusers": diffusers.__version__, "transformers": "4.36.2"},
            "files": ["lora-lcm-sdxl", "lora-kohya-sdxl", "lora-kohya-text", "lora-attention-sdxl"],
        },
    )
