"""
Small random networks with their reference outputs, computed by diffusers and transformers:
test/fixtures/networks/<case>/. The layout is described in README.md beside this file.
"""

import diffusers
import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from fixtures import fixtures, randomize, save_tensors, write_json, write_provenance

torch.set_num_threads(1)
folder = fixtures / "networks"

sd15_unet = dict(
    sample_size=16,
    block_out_channels=(8, 16, 24, 24),
    layers_per_block=2,
    attention_head_dim=2,
    cross_attention_dim=20,
    norm_num_groups=4,
)
# One level and one layer fewer, another number of heads at each level, epsilons and group counts that are not the default.
other_unet = dict(
    sample_size=16,
    block_out_channels=(16, 24, 32),
    down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    layers_per_block=1,
    attention_head_dim=(2, 8, 4),
    cross_attention_dim=40,
    norm_num_groups=4,
    norm_eps=1e-3,
)
controlnet_config = {
    **sd15_unet,
    "conditioning_embedding_out_channels": (4, 8, 12, 16),
}
controlnet_config.pop("sample_size")


def write_case(name, network, config, inputs, expected, seed, weights=None, weights_from=None, options=None):
    """`weights_from` names a case whose weight file serves this one too."""
    case = folder / name
    if weights is not None:
        save_tensors(case / "weights.safetensors", weights)
    write_json(case / "config.json", config)
    save_tensors(case / "inputs.safetensors", inputs)
    save_tensors(case / "expected.safetensors", expected)
    write_json(
        case / "case.json",
        {
            "kind": "network",
            "network": network,
            "config": "config.json",
            "weights": [f"../{weights_from}/weights.safetensors" if weights_from else "weights.safetensors"],
            "inputs": "inputs.safetensors",
            "expected": "expected.safetensors",
            "options": options or {},
            "tolerance": {"relL2": 1e-4},
        },
    )
    write_provenance(case, ["torch", "diffusers", "transformers", "safetensors"], seed=seed)
    print(name)


def model_config(model):
    """The library's own config.json, less the keys that say where the file came from."""
    values = {key: value for key, value in model.config.items() if not key.startswith("_")}
    return {"_class_name": model.__class__.__name__, "_diffusers_version": diffusers.__version__, **values}


def make_small(*layers):
    """
    Makes what these layers write so small that the epsilon of the next normalisation decides the result: with
    activations around one, 1e-5 and 1e-6 cannot be told apart.
    """
    with torch.no_grad():
        for layer in layers:
            layer.weight.mul_(0.003)
            layer.bias.mul_(0.003)


def rounded(model, dtype):
    """Rounds the parameters to `dtype` and computes on in float32, as an engine on a CPU does."""
    return model.to(dtype).to(torch.float32)


def unet_inputs(seed, batch, height, width, timestep, context):
    generator = torch.Generator().manual_seed(seed)
    return {
        "sample": torch.randn(batch, 4, height, width, generator=generator),
        "timestep": torch.tensor([timestep], dtype=torch.float32),
        "encoder_hidden_states": torch.randn(batch, 77, context, generator=generator),
    }


def run_unet(unet, inputs, residuals=None):
    down, mid = residuals or (None, None)
    with torch.no_grad():
        return unet(
            inputs["sample"],
            inputs["timestep"],
            inputs["encoder_hidden_states"],
            down_block_additional_residuals=down,
            mid_block_additional_residual=mid,
        ).sample


def clip_text(name, seed, batch, position_ids, epsilon):
    config = CLIPTextConfig(
        vocab_size=1000,
        hidden_size=32,
        intermediate_size=96,
        projection_dim=32,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=77,
        layer_norm_eps=epsilon,
        bos_token_id=998,
        eos_token_id=999,
        pad_token_id=999,
    )
    model = randomize(CLIPTextModel(config), seed)
    published_keys = (
        "architectures attention_dropout bos_token_id eos_token_id hidden_act hidden_size initializer_factor "
        "initializer_range intermediate_size layer_norm_eps max_position_embeddings model_type num_attention_heads "
        "num_hidden_layers pad_token_id projection_dim vocab_size"
    ).split()
    values = {**config.to_dict(), "architectures": ["CLIPTextModel"]}
    generator = torch.Generator().manual_seed(seed + 1)
    ids = torch.full((batch, 77), 999, dtype=torch.int64)
    ids[:, 0] = 998
    for row in range(batch):
        length = 75 if row == 0 else 6 + row  # a prompt that fills the window, and short ones
        ids[row, 1 : 1 + length] = torch.randint(0, 998, (length,), generator=generator)
    with torch.no_grad():
        expected = model(ids).last_hidden_state
    weights = model.state_dict()
    if not position_ids:
        del weights["text_model.embeddings.position_ids"]
    config_json = {key: values[key] for key in published_keys}
    write_case(name, "clip-text", config_json, {"input_ids": ids}, {"last_hidden_state": expected}, seed, weights)


def unet(name, seed, config, batch, height, width, timestep, dtype=torch.float32):
    model = rounded(randomize(UNet2DConditionModel(**config), seed), dtype)
    if config is other_unet:
        make_small(model.conv_in, model.down_blocks[0].resnets[0].conv2)
    inputs = unet_inputs(seed + 1, batch, height, width, timestep, config["cross_attention_dim"])
    weights = {key: value.to(dtype) for key, value in model.state_dict().items()}
    write_case(name, "unet", model_config(model), inputs, {"sample": run_unet(model, inputs)}, seed, weights)
    return model


def unet_with_controlnets(name, unet_model, unet_name, seed, conditions, weights_from=None):
    """`conditions`: one (batch, scale) per ControlNet; all of them use the same weights."""
    controlnet = randomize(ControlNetModel(**controlnet_config), seed)
    height, width = 8, 16
    inputs = unet_inputs(seed + 1, 2, height, width, 601.0, sd15_unet["cross_attention_dim"])
    generator = torch.Generator().manual_seed(seed + 2)
    down = mid = None
    entries = []
    source = weights_from or name
    for index, (batch, scale) in enumerate(conditions):
        condition = torch.rand(batch, 3, 8 * height, 8 * width, generator=generator)
        inputs[f"controlnet_cond.{index}"] = condition
        with torch.no_grad():
            residuals = controlnet(
                inputs["sample"], inputs["timestep"], inputs["encoder_hidden_states"], condition, scale
            )
        first = residuals.down_block_res_samples, residuals.mid_block_res_sample
        down = [a + b for a, b in zip(down, first[0])] if down else list(first[0])
        mid = mid + first[1] if mid is not None else first[1]
        entries.append(
            {
                "config": f"../{source}/controlnet-config.json",
                "weights": [f"../{source}/controlnet.safetensors"],
                "scale": scale,
            }
        )
    if weights_from is None:
        save_tensors(folder / name / "controlnet.safetensors", controlnet.state_dict())
        write_json(folder / name / "controlnet-config.json", model_config(controlnet))
    expected = run_unet(unet_model, inputs, (down, mid))
    write_case(
        name,
        "unet",
        model_config(unet_model),
        inputs,
        {"sample": expected},
        seed,
        weights_from=unet_name,
        options={"controlnets": entries},
    )


def vae_decoder(name, seed, channels, layers, groups, batch, height, width, old_names):
    model = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
        block_out_channels=channels,
        layers_per_block=layers,
        norm_num_groups=groups,
        latent_channels=4,
    )
    randomize(model, seed)
    if old_names:
        make_small(model.decoder.conv_in, model.decoder.mid_block.resnets[0].conv2)
    latents = torch.randn(batch, 4, height, width, generator=torch.Generator().manual_seed(seed + 1))
    with torch.no_grad():
        expected = model.decode(latents).sample
    weights = {(old_vae_name(key) if old_names else key): value for key, value in model.state_dict().items()}
    write_case(name, "vae-decoder", model_config(model), {"latents": latents}, {"sample": expected}, seed, weights)


def old_vae_name(key):
    """The names of the attention layer before diffusers 0.17, as the published SD 1.5 file has them."""
    if ".attentions." not in key:
        return key
    for new, old in {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}.items():
        key = key.replace(f".{new}.", f".{old}.")
    return key


if __name__ == "__main__":
    clip_text("clip-text", 10, batch=2, position_ids=True, epsilon=1e-5)
    clip_text("clip-text-without-position-ids", 20, batch=3, position_ids=False, epsilon=1e-2)
    base = unet("unet", 30, sd15_unet, batch=2, height=16, width=24, timestep=951.0)
    unet("unet-other-sizes", 40, other_unet, batch=1, height=12, width=8, timestep=946.4211)
    unet("unet-float16", 50, sd15_unet, batch=2, height=8, width=16, timestep=1.0, dtype=torch.float16)
    unet("unet-bfloat16", 60, sd15_unet, batch=1, height=16, width=8, timestep=501.0, dtype=torch.bfloat16)
    unet_with_controlnets("unet-controlnet", base, "unet", 70, [(1, 0.6)])
    unet_with_controlnets("unet-controlnet-batch", base, "unet", 70, [(2, 1.0)], weights_from="unet-controlnet")
    unet_with_controlnets(
        "unet-two-controlnets", base, "unet", 70, [(1, 0.35), (2, 0.8)], weights_from="unet-controlnet"
    )
    vae_decoder("vae-decoder", 80, (8, 16, 24, 24), 2, 4, batch=2, height=6, width=10, old_names=False)
    vae_decoder("vae-decoder-old-names", 90, (16, 24), 1, 4, batch=1, height=12, width=8, old_names=True)
