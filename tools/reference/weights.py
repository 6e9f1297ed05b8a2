"""
Weight files as PyTorch writes them and checkpoints in the layout of their training code, small, beside what they
contain: test/fixtures/weights/; names and shapes of the full-size checkpoints: test/fixtures/weights/full-size/.
"""

import collections
import hashlib
import json
import sys
import tempfile
import types

import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from diffusers.pipelines.stable_diffusion import convert_from_ckpt
from diffusers.pipelines.stable_diffusion.convert_from_ckpt import (
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
    convert_open_clip_checkpoint,
)
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from fixtures import fixtures, randomize, write_json, write_provenance
from original_layout import controlnet_name, open_clip_tensors, unet_name, vae_tensors

folder = fixtures / "weights"
dtype_names = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F64"}
dtype_names |= {torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8"}
dtype_names |= {torch.bool: "BOOL"}


def content(tensors):
    """{name: [type, shape, the first 16 digits of the SHA-256 of the values row by row]}"""
    found = {}
    for name, tensor in tensors.items():
        values = tensor.detach().contiguous()
        raw = values.view(torch.int16) if values.dtype == torch.bfloat16 else values
        digest = hashlib.sha256(raw.numpy().tobytes()).hexdigest()[:16]
        found[name] = [dtype_names[tensor.dtype], list(tensor.shape), digest]
    return found


def write_lines(path, value):
    """JSON with a line for each entry."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{json.dumps(key)}: {json.dumps(entry)}" for key, entry in value.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


# PyTorch's containers


def containers():
    base = noise(6, 5, 3)
    tied = noise(4, 2)
    state = collections.OrderedDict(
        float=noise(3, 4),
        half=noise(3, 2).half(),
        brain=noise(2, 3).bfloat16(),
        double=noise(2, 2).double(),
        long=torch.tensor([[2**40, -1, 7]]),
        int=torch.tensor([-5, 70000], dtype=torch.int32),
        short=torch.tensor([300, -300], dtype=torch.int16),
        char=torch.tensor([-128, 5], dtype=torch.int8),
        byte=torch.tensor([255, 0, 3], dtype=torch.uint8),
        bool=torch.tensor([True, False, True]),
        scalar=torch.tensor(1.5),
        none=torch.empty(0, 3),
        parameter=torch.nn.Parameter(noise(2, 7)),
    )
    state["rows of a larger one"] = base[2:4]
    state["one row of it"] = base[5]
    state["linear.transposed"] = noise(5, 3).t()
    state["permuted"] = noise(2, 3, 4).permute(2, 0, 1)
    state["channels_last"] = noise(4, 3, 2, 5).to(memory_format=torch.channels_last)
    state["tied.a"] = tied
    state["tied.b"] = tied
    state["tied.flat"] = tied.view(8)
    state._metadata = collections.OrderedDict([("", {"version": 1})])
    torch.save(state, folder / "zip.pth")
    torch.save(state, folder / "zip-protocol-4.pth", pickle_protocol=4)
    torch.save(state, folder / "legacy.pth", _use_new_zipfile_serialization=False)
    write_lines(folder / "state.json", content(state))

    # As a training run of pytorch_lightning leaves it, whose class is only a key here.
    class ModelCheckpoint:
        __module__ = "pytorch_lightning.callbacks.model_checkpoint"
        __qualname__ = "ModelCheckpoint"

    for name in ("pytorch_lightning", "pytorch_lightning.callbacks", "pytorch_lightning.callbacks.model_checkpoint"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["pytorch_lightning.callbacks.model_checkpoint"].ModelCheckpoint = ModelCheckpoint
    import numpy

    weights = {"model.diffusion_model.out.2.bias": noise(4), "betas": noise(9)}
    checkpoint = {
        "epoch": 3,
        "global_step": 875000,
        "pytorch-lightning_version": "1.4.2",
        "state_dict": weights,
        "callbacks": {ModelCheckpoint: {"best_model_score": noise(1), "dirpath": "/logs", "monitor": None}},
        "optimizer_states": [{"state": {0: {"step": 5, "exp_avg": noise(4)}}, "param_groups": [{"lr": 1e-4}]}],
        "lr_schedulers": [{"last": numpy.float64(0.25), "base_lrs": [1.0]}],
        "kinds": {1, 2},
    }
    torch.save(checkpoint, folder / "lightning.ckpt")
    write_lines(folder / "lightning.json", content(weights))

    maps = {"id_encoder": {"visual_projection.weight": noise(3, 2)}, "lora_weights": {"unet.up.weight": noise(2, 1)}}
    torch.save(maps, folder / "maps.bin")
    write_lines(
        folder / "maps.json",
        content({f"{map}.{name}": tensor for map, tensors in maps.items() for name, tensor in tensors.items()}),
    )
    torch.save({"columns": noise(4, 6)[:, :3]}, folder / "columns.pth")
    torch.save({"expanded": noise(1, 3).expand(4, 3)}, folder / "expanded.pth")


# Checkpoints in the original layout


def converted(original, parts):
    """What diffusers makes of a checkpoint; `parts` are the networks with their sizes, which it has to fill."""
    found = {}
    for part, network in parts.items():
        if part in ("unet", "controlnet"):
            # diffusers looks whether this one is there, not whether it is set.
            config = {key: value for key, value in network.config.items() if key != "num_class_embeds"}
            tensors = convert_ldm_unet_checkpoint(dict(original), config, controlnet=part == "controlnet")
        elif part == "vae":
            tensors = convert_ldm_vae_checkpoint(dict(original), {})
        elif part == "textEncoder":
            prefixes = ("cond_stage_model.transformer.", "conditioner.embedders.0.transformer.")
            tensors = {
                name[len(prefix) :]: tensor
                for name, tensor in original.items()
                for prefix in prefixes
                if name.startswith(prefix)
            }
        else:
            with tempfile.TemporaryDirectory() as place:
                network.config.save_pretrained(place)
                prefix = "conditioner.embedders.1.model."
                model = convert_open_clip_checkpoint(original, place, prefix, has_projection=True, local_files_only=True)
            tensors = model.to(network.dtype).state_dict()
            tensors = {name: tensor for name, tensor in tensors.items() if not name.endswith("position_ids")}
        found[part] = tensors
    return found


class LenientTextModel(CLIPTextModelWithProjection):
    """Without the package accelerate, diffusers 0.24 drops a buffer that this transformers still asks for."""

    def load_state_dict(self, tensors):
        missing, unexpected = super().load_state_dict(tensors, strict=False)
        assert missing == ["text_model.embeddings.position_ids"] and not unexpected


convert_from_ckpt.CLIPTextModelWithProjection = LenientTextModel


def prefixed(prefix, tensors):
    return {prefix + name: tensor for name, tensor in tensors.items()}


def unet_tensors(unet):
    per_level = unet.config.layers_per_block + 1
    attention = [index for index, kind in enumerate(unet.config.up_block_types) if kind.startswith("CrossAttn")]
    return {unet_name(name, per_level, attention): tensor for name, tensor in unet.state_dict().items()}


def controlnet_tensors(controlnet):
    per_level = controlnet.config.layers_per_block + 1
    hints = 2 * len(controlnet.config.conditioning_embedding_out_channels)
    return {controlnet_name(name, per_level, hints): tensor for name, tensor in controlnet.state_dict().items()}


def sd15(parts):
    leftovers = {
        "betas": noise(5),
        "alphas_cumprod_prev": noise(5),
        "sqrt_recipm1_alphas_cumprod": noise(5),
        "sqrt_one_minus_alphas_cumprod": noise(5),
        "log_one_minus_alphas_cumprod": noise(5),
        "posterior_mean_coef2": noise(5),
        "model_ema.decay": torch.tensor(0.9999),
        "model_ema.num_updates": torch.tensor(7),
        "model_ema.diffusion_modelout2bias": noise(4),
    }
    return {
        **prefixed("model.diffusion_model.", unet_tensors(parts["unet"])),
        **prefixed("first_stage_model.", vae_tensors(parts["vae"].state_dict(), len(parts["vae"].config.block_out_channels))),
        **prefixed("cond_stage_model.transformer.", parts["textEncoder"].state_dict()),
        **leftovers,
    }


def sdxl(parts):
    return {
        **prefixed("model.diffusion_model.", unet_tensors(parts["unet"])),
        **prefixed("first_stage_model.", vae_tensors(parts["vae"].state_dict(), len(parts["vae"].config.block_out_channels))),
        **prefixed("conditioner.embedders.0.transformer.", parts["textEncoder"].state_dict()),
        **prefixed("conditioner.embedders.1.model.", open_clip_tensors(parts["textEncoder2"].state_dict())),
        "denoiser.sigmas": noise(7),
    }


def control(parts):
    return prefixed("control_model.", controlnet_tensors(parts["controlnet"]))


def proven(original, parts):
    """Every tensor of the networks comes back from diffusers' conversion under its name and unchanged."""
    found = converted(original, parts)
    for part, network in parts.items():
        expected = network.state_dict()
        actual = found[part]
        if part == "textEncoder2":
            expected = {name: tensor for name, tensor in expected.items() if not name.endswith("position_ids")}
        assert actual.keys() == expected.keys(), (part, actual.keys() ^ expected.keys())
        for name in expected:
            assert actual[name].shape == expected[name].shape, (part, name)
            if not expected[name].is_meta:
                assert torch.equal(actual[name], expected[name]), (part, name)
    return found


def text(width, layers, heads, projection=None, vocabulary=50, activation="quick_gelu"):
    config = CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        projection_dim=projection or width,
        hidden_act=activation,
    )
    return (CLIPTextModelWithProjection if projection else CLIPTextModel)(config)


def vae(channels, groups):
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
        block_out_channels=channels,
        layers_per_block=2,
        norm_num_groups=groups,
    )


sdxl_blocks = dict(
    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    use_linear_projection=True,
    addition_embed_type="text_time",
)


def small_checkpoints():
    unet = dict(
        block_out_channels=(4, 8, 8),
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        layers_per_block=1,
        attention_head_dim=2,
        cross_attention_dim=6,
        norm_num_groups=2,
    )
    up_blocks = ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D")
    parts = {
        "unet": UNet2DConditionModel(sample_size=8, up_block_types=up_blocks, **unet),
        "vae": vae((2, 4, 6), 2),
        "textEncoder": text(6, 2, 2),
    }
    for seed, network in enumerate(parts.values()):
        randomize(network, seed)
    original = sd15(parts)
    torch.save({"state_dict": original, "global_step": 1}, folder / "sd15.ckpt")
    write_components("sd15", proven(original, parts))

    parts = {
        "unet": UNet2DConditionModel(
            sample_size=8,
            block_out_channels=(4, 4, 8),
            transformer_layers_per_block=(1, 2, 3),
            attention_head_dim=(1, 2, 2),
            cross_attention_dim=10,
            norm_num_groups=2,
            addition_time_embed_dim=2,
            projection_class_embeddings_input_dim=18,
            **sdxl_blocks,
        ),
        "vae": vae((2, 4, 4, 6), 2),
        "textEncoder": text(4, 2, 2),
        "textEncoder2": text(6, 3, 2, projection=4, activation="gelu"),
    }
    for seed, network in enumerate(parts.values()):
        randomize(network, 10 + seed).half()
    original = sdxl(parts)
    save_file({name: tensor.contiguous() for name, tensor in original.items()}, str(folder / "sdxl.safetensors"))
    write_components("sdxl", proven(original, parts))

    config = {**unet, "conditioning_embedding_out_channels": (2, 3, 4, 5)}
    parts = {"controlnet": randomize(ControlNetModel(**config), 20)}
    original = control(parts)
    torch.save(original, folder / "control.pth", _use_new_zipfile_serialization=False)
    write_components("control", proven(original, parts))


def write_components(name, components):
    tensors = {f"{part}: {key}": tensor for part, found in components.items() for key, tensor in found.items()}
    write_lines(folder / f"{name}.json", content(tensors))


def full_size():
    """On the meta device: names and shapes without values."""
    unet15 = dict(attention_head_dim=8, cross_attention_dim=768)
    clip = dict(width=768, layers=12, heads=12, vocabulary=49408)
    channels = (128, 256, 512, 512)
    made = {
        "sd15": lambda: {
            "unet": UNet2DConditionModel(sample_size=64, **unet15),
            "vae": vae(channels, 32),
            "textEncoder": text(**clip),
        },
        "sdxl": lambda: {
            "unet": UNet2DConditionModel(
                sample_size=128,
                block_out_channels=(320, 640, 1280),
                transformer_layers_per_block=(1, 2, 10),
                attention_head_dim=(5, 10, 20),
                cross_attention_dim=2048,
                addition_time_embed_dim=256,
                projection_class_embeddings_input_dim=2816,
                **sdxl_blocks,
            ),
            "vae": vae(channels, 32),
            "textEncoder": text(**clip),
            "textEncoder2": text(1280, 32, 20, projection=1280, vocabulary=49408, activation="gelu"),
        },
        "control": lambda: {"controlnet": ControlNetModel(**unet15)},
    }
    layout = {"sd15": sd15, "sdxl": sdxl, "control": control}
    for name, make in made.items():
        parts = make()
        for network in parts.values():
            network.to("meta")
        original = layout[name](parts)
        # OpenCLIP's conversion copies into a new network, which tensors without values do not allow.
        proven(original, {part: network for part, network in parts.items() if part != "textEncoder2"})
        found = {part: network.state_dict() for part, network in parts.items()}
        shapes = {key: list(tensor.shape) for key, tensor in original.items()}
        write_lines(folder / "full-size" / f"{name}-original.json", shapes)
        print(f"{name}: {len(shapes)} tensors")
        if name != "sdxl":
            continue  # The names it has to become are in test/fixtures/headers.
        expected = {
            f"{part}: {key}": list(tensor.shape)
            for part, tensors in found.items()
            for key, tensor in tensors.items()
            if part != "textEncoder2" or not key.endswith("position_ids")
        }
        write_lines(folder / "full-size" / f"{name}.json", expected)


if __name__ == "__main__":
    folder.mkdir(parents=True, exist_ok=True)
    containers()
    small_checkpoints()
    # Filling billions of values with noise takes minutes; without it their memory is never touched.
    for initializer in ("kaiming_uniform_", "uniform_", "normal_", "zeros_", "ones_", "constant_"):
        setattr(torch.nn.init, initializer, lambda tensor, *_, **__: tensor)
    CLIPTextModel._init_weights = CLIPTextModelWithProjection._init_weights = lambda *_: None
    full_size()
    write_provenance(folder, ["torch", "diffusers", "transformers", "safetensors", "numpy"])
