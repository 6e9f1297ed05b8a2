"""
The torch side of bench/whole-models.js: the reference pipelines of rossjillian/controlnet (diffusers 0.15.1) and
lucataco/animate-diff (guoyww/AnimateDiff on diffusers 0.11.1) over the same full-size weights, with guidance.

    bench_models.py controlnet|animate-diff <weights> <steps> <frames>

Prints one line of JSON. AnimateDiff's attention is computed in slices, else its scores alone would need 34 GB.
"""

import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

model, root, steps, frames = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
here = Path(__file__).resolve().parent
if model == "animate-diff":
    sys.path[:0] = [str(here / ".venv" / "diffusers-0.11.1"), str(here / ".venv" / "sources" / "AnimateDiff")]
import fixtures  # noqa: E402

if model == "controlnet":
    fixtures.use_diffusers_0_15()

import torch  # noqa: E402
from safetensors import safe_open  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from transformers import CLIPTextConfig, CLIPTextModel  # noqa: E402

from tokenizer import load_tokenizer  # noqa: E402

torch.set_num_threads(os.cpu_count())
fixtures.repair_baddbmm()
# Initial values would be overwritten, and cost more than all that is measured.
for name in [name for name in dir(torch.nn.init) if name.endswith("_") and not name.startswith("_")]:
    setattr(torch.nn.init, name, lambda tensor, *_, **__: tensor)

base = root / "stable-diffusion-v1-5" / "stable-diffusion-v1-5"
schedule = dict(num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, steps_offset=1, clip_sample=False)
vae_options = dict(
    block_out_channels=(128, 256, 512, 512),
    layers_per_block=2,
    down_block_types=("DownEncoderBlock2D",) * 4,
    up_block_types=("UpDecoderBlock2D",) * 4,
)


def filled(network, path, rename=lambda name: name):
    """With the file's values, one by one, so that no second copy of all is in memory."""
    with safe_open(path, "pt") as file:
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(False).copy_(file.get_tensor(rename(name)))
    return network.eval()


def text_encoder():
    config = CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12)
    return filled(CLIPTextModel(config), base / "text_encoder" / "model.safetensors")


def controlnet():
    from diffusers import (
        AutoencoderKL,
        ControlNetModel,
        DDIMScheduler,
        StableDiffusionControlNetPipeline,
        UNet2DConditionModel,
    )

    file = "diffusion_pytorch_model.safetensors"
    vae_names = {".query.": ".to_q.", ".key.": ".to_k.", ".value.": ".to_v.", ".proj_attn.": ".to_out.0."}

    def vae_name(name):
        for old, new in vae_names.items():
            name = name.replace(old, new)
        return name

    pipeline = StableDiffusionControlNetPipeline(
        vae=filled(AutoencoderKL(**vae_options), base / "vae" / file, vae_name),
        text_encoder=text_encoder(),
        tokenizer=tokenizer,
        unet=filled(UNet2DConditionModel(cross_attention_dim=768), base / "unet" / file),
        controlnet=filled(
            ControlNetModel(cross_attention_dim=768), root / "lllyasviel" / "sd-controlnet-canny" / file
        ),
        scheduler=DDIMScheduler(beta_schedule="scaled_linear", set_alpha_to_one=False, **schedule),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    picture = torch.rand(1, 3, 512, 512)
    return lambda callback: pipeline(
        prompt="a bronze bust",
        negative_prompt="lowres",
        image=picture,
        num_inference_steps=steps,
        guidance_scale=9.0,
        output_type="np",
        callback=callback,
    )


def animate_diff():
    from animatediff.models.unet import UNet3DConditionModel
    from animatediff.pipelines.pipeline_animation import AnimationPipeline
    from diffusers import AutoencoderKL, DDIMScheduler

    module = dict(
        num_attention_heads=8,
        num_transformer_block=1,
        attention_block_types=("Temporal_Self", "Temporal_Self"),
        temporal_position_encoding=True,
        temporal_position_encoding_max_len=24,
        temporal_attention_dim_div=1,
    )
    unet = UNet3DConditionModel(
        sample_size=64,
        attention_head_dim=8,
        cross_attention_dim=768,
        down_block_types=("CrossAttnDownBlock3D",) * 3 + ("DownBlock3D",),
        up_block_types=("UpBlock3D",) + ("CrossAttnUpBlock3D",) * 3,
        use_motion_module=True,
        motion_module_type="Vanilla",
        motion_module_kwargs=module,
        use_inflated_groupnorm=False,
        motion_module_mid_block=False,
        unet_use_cross_frame_attention=False,
        unet_use_temporal_attention=False,
    )
    flat, motion = load_file(base / "unet" / "diffusion_pytorch_model.safetensors"), {}
    with safe_open(root / "guoyww" / "animatediff" / "mm_sd_v14.ckpt", "pt") as file:
        motion = {name: file.get_tensor(name) for name in file.keys()}
    missing = [name for name, _ in unet.named_parameters() if name not in flat and name not in motion]
    assert not missing, missing
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            parameter.requires_grad_(False).copy_(flat.pop(name) if name in flat else motion.pop(name))
    unet.eval()
    for name, layer in unet.named_modules():
        # Those of motion modules are small, and their slices as AnimateDiff makes them would need 40 GB.
        if hasattr(layer, "_slice_size") and "motion_modules" not in name:
            layer._slice_size = 1
    vae = AutoencoderKL(**vae_options).eval().requires_grad_(False)
    for parameter in vae.parameters():
        parameter.normal_(0, 0.02)
    pipeline = AnimationPipeline(
        vae=vae,
        text_encoder=text_encoder(),
        tokenizer=tokenizer,
        unet=unet,
        scheduler=DDIMScheduler(beta_schedule="linear", **schedule),
    )
    return lambda callback: pipeline(
        "cherry blossoms",
        negative_prompt="blurry",
        video_length=frames,
        height=512,
        width=512,
        num_inference_steps=steps,
        guidance_scale=7.5,
        callback=callback,
    )


with tempfile.TemporaryDirectory() as folder:
    tokenizer = load_tokenizer(Path(folder))
started = time.perf_counter()
predict = {"controlnet": controlnet, "animate-diff": animate_diff}[model]()
opened = time.perf_counter()
ended = []
with torch.inference_mode():
    predict(lambda *_: ended.append(time.perf_counter()))
finished = time.perf_counter()
taken = [round(after - before, 2) for before, after in zip([opened, *ended], ended)]
result = dict(
    version=torch.__version__,
    frames=frames if model == "animate-diff" else None,
    openSeconds=round(opened - started, 2),
    # The first has the text encoder in it.
    stepSeconds=taken,
    afterLastStepSeconds=round(finished - ended[-1], 2),
    peakMegabytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
)
print(json.dumps(result))
