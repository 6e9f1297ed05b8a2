"""
Names, types and shapes of every tensor in the full-size files of the encoders that Stable Diffusion XL, PhotoMaker and
InstantID use, and of the safety checker, like those of headers.py: test/fixtures/headers/<file>.json.
"""

import fixtures

fixtures.use_transformers_4_36()

import torch  # noqa: E402
from diffusers import AutoencoderKL  # noqa: E402
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker  # noqa: E402
from transformers import (  # noqa: E402
    CLIPConfig,
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from headers import folder, write_header  # noqa: E402

large = dict(hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, patch_size=14)


def prefixed(prefix, module):
    return {f"{prefix}.{key}": tensor for key, tensor in module.state_dict().items()}


if __name__ == "__main__":
    # Parameters are made and not filled: see headers.py.
    with torch.no_grad():
        text = CLIPTextConfig(
            hidden_size=1280, intermediate_size=5120, num_hidden_layers=32, num_attention_heads=20, projection_dim=1280
        )
        write_header("sdxl-text-encoder-2", CLIPTextModelWithProjection(text).state_dict())
        vision = CLIPVisionConfig(**large, projection_dim=768)
        write_header("clip-vision-large", CLIPVisionModelWithProjection(vision).state_dict())
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=2,
            sample_size=1024,
            scaling_factor=0.13025,
        )
        write_header("sdxl-vae", vae.state_dict())
        checker = StableDiffusionSafetyChecker(CLIPConfig(vision_config=large, projection_dim=768))
        write_header("safety-checker", checker.state_dict())
        encoder = fixtures.source("PhotoMaker", "photomaker/model.py").PhotoMakerIDEncoder()
        write_header("photomaker-v1", prefixed("id_encoder", encoder))
        resampler = fixtures.source("InstantID", "ip_adapter/resampler.py").Resampler(
            dim=1280, depth=4, dim_head=64, heads=20, num_queries=16, embedding_dim=512, output_dim=2048, ff_mult=4
        )
        write_header("instant-id-image-proj", prefixed("image_proj", resampler))
    fixtures.write_json(
        folder / "provenance-encoders.json",
        {
            "command": "tools/reference/.venv/bin/python tools/reference/encoder_headers.py",
            "packages": {"torch": torch.__version__, "diffusers": "0.24.0", "transformers": "4.36.2"},
            "sources": {"TencentARC/PhotoMaker": "6ec44fc", "zsxkib/InstantID": "b8dc74a"},
        },
    )
