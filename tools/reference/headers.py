"""
Names, types and shapes of every tensor in the full-size files of Stable Diffusion 1.5 and its ControlNet, as
{name: [dtype, shape]}: test/fixtures/headers/<file>.json. The networks are made by diffusers and transformers from the
published configurations; no weights are involved.
"""

import json

import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from fixtures import fixtures, write_provenance
from networks import old_vae_name

folder = fixtures / "headers"
dtype_names = {torch.float32: "F32", torch.float16: "F16", torch.int64: "I64"}

# Filling a billion values with noise takes a minute; without it their memory is never touched.
for initializer in ("kaiming_uniform_", "uniform_", "normal_", "zeros_", "ones_", "constant_"):
    setattr(torch.nn.init, initializer, lambda tensor, *_, **__: tensor)


def write_header(name, tensors):
    lines = [
        f"{json.dumps(key)}: {json.dumps([dtype_names[tensor.dtype], list(tensor.shape)])}"
        for key, tensor in sorted(tensors.items())
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    values = sum(tensor.numel() for tensor in tensors.values())
    print(f"{name}: {len(tensors)} tensors, {values:,} values")


sd15 = dict(cross_attention_dim=768, attention_head_dim=8)

if __name__ == "__main__":
    write_header("sd15-unet", UNet2DConditionModel(sample_size=64, **sd15).state_dict())
    write_header("sd15-controlnet", ControlNetModel(**sd15).state_dict())
    vae = AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
    ).state_dict()
    write_header("sd15-vae", vae)
    write_header("sd15-vae-old-keys", {old_vae_name(key): tensor for key, tensor in vae.items()})
    text = CLIPTextConfig(
        hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12, projection_dim=768
    )
    CLIPTextModel._init_weights = lambda *_: None
    write_header("sd15-text-encoder", CLIPTextModel(text).state_dict())
    write_provenance(folder, ["torch", "diffusers", "transformers"])
