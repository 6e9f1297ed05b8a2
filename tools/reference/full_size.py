"""
Parity cases of full-size networks, with the weights that their classes begin with (5 GB):

    tools/reference/.venv/bin/python tools/reference/full_size.py <folder>
    npx darkroom parity <folder>/*

Too large for the repository; docs/numerics.md has the figures.
"""

import json
import sys
from pathlib import Path

import fixtures

fixtures.use_transformers_4_36()

import torch  # noqa: E402
from diffusers import AutoencoderKL  # noqa: E402
from transformers import (  # noqa: E402
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

import networks  # noqa: E402


def write_case(name, network, config, inputs, model, expected):
    # The provenance of networks.py names a script of this repository and would be wrong in another folder.
    networks.write_provenance = lambda *_, **__: None
    networks.folder = Path(sys.argv[1]).resolve()
    networks.write_case(name, network, config, inputs, expected, seed=None, weights=model.state_dict())


def config_of(model):
    return json.loads(model.config.to_json_string())


def text(name, **sizes):
    model = CLIPTextModelWithProjection(CLIPTextConfig(eos_token_id=2, bos_token_id=0, **sizes)).eval()
    ids = torch.randint(0, 49000, (2, 77))
    ids[:, 0] = 49406
    ids[0, 30:] = ids[1, 50:] = 49407
    output = model(ids, output_hidden_states=True)
    states = {f"hidden_states.{index}": state for index, state in enumerate(output.hidden_states)}
    expected = {**states, "last_hidden_state": output.last_hidden_state, "text_embeds": output.text_embeds}
    write_case(name, "clip-text", config_of(model), {"input_ids": ids}, model, expected)


def vision():
    large = dict(hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, patch_size=14)
    model = CLIPVisionModelWithProjection(CLIPVisionConfig(**large, projection_dim=768)).eval()
    pixels = torch.randn(2, 3, 224, 224)
    output = model(pixels)
    expected = {"last_hidden_state": output.last_hidden_state, "image_embeds": output.image_embeds}
    write_case("clip-vision-large", "clip-vision", config_of(model), {"pixel_values": pixels}, model, expected)


def autoencoder():
    model = AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
    ).eval()
    config = networks.model_config(model)
    sample = torch.randn(1, 3, 256, 192)
    moments = model.encode(sample).latent_dist.parameters
    write_case("vae-encoder", "vae-encoder", config, {"sample": sample}, model, {"moments": moments})
    latents = torch.randn(1, 4, 24, 32)
    expected = {"sample": model.decode(latents).sample}
    write_case("vae-decoder", "vae-decoder", config, {"latents": latents}, model, expected)


if __name__ == "__main__":
    torch.manual_seed(0)
    with torch.no_grad():
        text(
            "clip-text-large",
            hidden_size=768,
            intermediate_size=3072,
            num_hidden_layers=12,
            num_attention_heads=12,
            projection_dim=768,
        )
        text(
            "clip-text-big",
            hidden_size=1280,
            intermediate_size=5120,
            num_hidden_layers=32,
            num_attention_heads=20,
            projection_dim=1280,
            hidden_act="gelu",
        )
        vision()
        autoencoder()
