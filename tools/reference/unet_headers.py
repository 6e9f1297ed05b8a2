"""
Names, types and shapes of every tensor in the full-size files of the UNets beyond SD 1.5, as headers.py writes them:
test/fixtures/headers/<file>.json. The classes that the files were saved from, at their published configurations; no
weights are involved. The motion modules' are written by motion.py.
"""

import diffusers
import torch
from diffusers import ControlNetModel, UNet2DConditionModel

from fixtures import write_json
from headers import folder, write_header

sdxl = dict(
    block_out_channels=(320, 640, 1280),
    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    transformer_layers_per_block=(1, 2, 10),
    attention_head_dim=(5, 10, 20),
    cross_attention_dim=2048,
    use_linear_projection=True,
    addition_embed_type="text_time",
    addition_time_embed_dim=256,
    projection_class_embeddings_input_dim=2816,
)


def image_tokens(unet):
    """InstantID's `ip-adapter.bin`, its part `ip_adapter`: two matrices for every cross-attention, by its number."""
    tensors = {}
    for number, name in enumerate(unet.attn_processors):
        if name.endswith("attn2.processor"):
            width = unet.get_submodule(name.removesuffix(".processor")).to_q.weight.shape[0]
            for matrix in ("to_k_ip", "to_v_ip"):
                tensors[f"ip_adapter.{number}.{matrix}.weight"] = torch.empty(width, unet.config.cross_attention_dim)
    return tensors


if __name__ == "__main__":
    unet = UNet2DConditionModel(
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"), sample_size=128, **sdxl
    )
    write_header("sdxl-unet", unet.state_dict())
    write_header("sdxl-image-tokens", image_tokens(unet))
    del unet
    # canny, openpose and InstantID's IdentityNet
    write_header("sdxl-controlnet", ControlNetModel(**sdxl).state_dict())
    # diffusers/controlnet-depth-sdxl-1.0-small
    small = {**sdxl, "down_block_types": ("DownBlock2D",) * 3, "transformer_layers_per_block": (0, 0, 0)}
    write_header("sdxl-controlnet-small", ControlNetModel(**small).state_dict())
    write_json(
        folder / "provenance-unets.json",
        {
            "command": "tools/reference/.venv/bin/python tools/reference/unet_headers.py",
            "packages": {"torch": torch.__version__, "diffusers": diffusers.__version__},
            "files": ["sdxl-unet", "sdxl-image-tokens", "sdxl-controlnet", "sdxl-controlnet-small"],
        },
    )
