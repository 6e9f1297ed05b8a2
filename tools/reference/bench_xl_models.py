"""
The torch side of bench/whole-models.js for the models of SDXL: diffusers 0.24.0 and InstantID's attention over the same
full-size weights, which are mapped from their files, as Darkroom's are.

    bench_xl_models.py instant-id|photomaker|face-to-many <weights> <ControlNets of instant-id beside IdentityNet>

One evaluation of UNet and ControlNets for one row: a guided step takes two. Then the decoder. LoRAs are left out, because
the originals merge them into the weights. What would need more memory than there is is not begun, or broken off. Prints
one line of JSON.
"""

import json
import os
import re
import sys
import threading
import time
from pathlib import Path

import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from diffusers.pipelines.controlnet import MultiControlNetModel
from safetensors import safe_open

import fixtures
from unet_headers import sdxl

model, root, nets = sys.argv[1], Path(sys.argv[2]), [net for net in sys.argv[3].split(",") if net != "none"]
latent_side = 160 if model == "instant-id" else 128
base = root / "stabilityai" / "stable-diffusion-xl-base-1.0"
file = "diffusion_pytorch_model.safetensors"
torch.set_num_threads(os.cpu_count())
result = dict(version=torch.__version__)
gigabyte = 1_000_000_000


def kilobytes(path, key):
    return int(re.search(rf"{key}:\s+(\d+) kB", Path(path).read_text())[1]) * 1024


def report():
    result["peakPrivateMegabytes"] = round(peak / 1024 / 1024)
    print(json.dumps(result), flush=True)


# What is free now, without the page cache that is to keep the weights.
limit = kilobytes("/proc/meminfo", "MemAvailable") - 2 * gigabyte
peak = 0


def watch():
    global peak
    while True:
        peak = max(peak, kilobytes("/proc/self/status", "RssAnon"))
        if peak > limit:
            result["brokenOff"] = f"It took more than the {limit / gigabyte:.1f} GB of memory that were free."
            report()
            os._exit(0)
        time.sleep(0.1)


def mapped(network, *parts):
    """With the file's values, of which no copy is made."""
    for path, rename in parts:
        with safe_open(path, "pt") as weights:
            tensors = {rename(name): weights.get_tensor(name) for name in weights.keys() if rename(name)}
        for name, parameter in network.named_parameters():
            if name in tensors:
                parameter.requires_grad_(False).data = tensors.pop(name)
        assert not tensors, list(tensors)[:9]
    missing = [name for name, parameter in network.named_parameters() if parameter.requires_grad]
    assert not missing, missing[:9]
    return network.eval()


def same(name):
    return name


def controlnet(folder, name=file, **options):
    return mapped(ControlNetModel(**{**sdxl, **options}), (root / folder / name, same))


def image_attention(unet):
    """InstantID's, in its place in the UNet."""
    module = fixtures.source("InstantID", "ip_adapter/attention_processor.py")
    processors = {}
    for name, processor in unet.attn_processors.items():
        width = unet.get_submodule(name.removesuffix(".processor")).to_q.weight.shape[0]
        is_cross = name.endswith("attn2.processor")
        processors[name] = module.IPAttnProcessor(width, 2048, num_tokens=16) if is_cross else processor
    numbers = {str(number): name for number, name in enumerate(processors)}
    unet.set_attn_processor(processors)

    def renamed(name):
        if not name.startswith("ip_adapter."):
            return None
        _, number, matrix = name.split(".", 2)
        return f"{numbers[number]}.{matrix}"

    return root / "InstantX" / "InstantID" / "ip-adapter.bin", renamed


def networks():
    unet = UNet2DConditionModel(
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"), sample_size=128, **sdxl
    )
    parts = [(base / "unet" / file, same)]
    if model == "photomaker":
        return mapped(unet, *parts), None
    mapped(unet, *parts, image_attention(unet))
    controls = [controlnet("InstantX/InstantID/ControlNetModel")]
    if model == "face-to-many":
        controls.append(controlnet("diffusers/controlnet-zoe-depth-sdxl-1.0"))
    elif "pose" in nets:
        controls.append(controlnet("thibaud/controlnet-openpose-sdxl-1.0", "diffusion_pytorch_model.bin"))
    if model == "instant-id" and "canny" in nets:
        controls.append(controlnet("diffusers/controlnet-canny-sdxl-1.0"))
    if model == "instant-id" and "depth" in nets:
        small = dict(down_block_types=("DownBlock2D",) * 3, transformer_layers_per_block=(0, 0, 0))
        controls.append(controlnet("diffusers/controlnet-depth-sdxl-1.0-small", **small))
    return unet, MultiControlNetModel(controls)


def evaluate(unet, controls):
    latents = torch.randn(1, 4, latent_side, latent_side)
    sides = [8.0 * latent_side, 8.0 * latent_side]
    added = dict(text_embeds=torch.randn(1, 1280), time_ids=torch.tensor([[*sides, 0, 0, *sides]]))
    text, faces = torch.randn(1, 77, 2048), torch.randn(1, 16, 2048)
    residuals, context = {}, text
    if controls:
        count = len(controls.nets)
        pictures = [torch.rand(1, 3, 8 * latent_side, 8 * latent_side) for _ in range(count)]
        down, middle = controls(
            latents, 501, faces, pictures, [0.8] * count, added_cond_kwargs=added, return_dict=False
        )
        residuals = dict(down_block_additional_residuals=down, mid_block_additional_residual=middle)
        context = torch.cat([text, faces], 1)
    return unet(latents, 501, context, added_cond_kwargs=added, **residuals).sample


def decoder():
    vae = AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
    )
    return mapped(vae, (base / "vae" / file, same))


def refuses(what, need):
    """Whether it is not to be begun."""
    if need <= limit:
        return False
    result[what] = f"not run: it needs some {need / gigabyte:.0f} GB of memory, and {limit / gigabyte:.0f} are free"
    return True


def timed(what, work):
    before = time.perf_counter()
    value = work()
    result[what] = round(time.perf_counter() - before, 2)
    return value


threading.Thread(target=watch, daemon=True).start()
# Scores of attention and their softmax, float32, at the largest size that has any; the rest was seen at 128.
scores = 2 * 4 * 10 * (latent_side // 2) ** 4
decoder_scores = 2 * 4 * latent_side**4
with torch.inference_mode():
    if not refuses("evaluationSeconds", scores + 3 * gigabyte):
        unet, controls = timed("openSeconds", networks)
        timed("evaluationSeconds", lambda: evaluate(unet, controls))
        del unet, controls
    if not refuses("decodeSeconds", decoder_scores + 5 * gigabyte * latent_side**2 / 160**2):
        vae = decoder()
        timed("decodeSeconds", lambda: vae.decode(torch.randn(1, 4, latent_side, latent_side)).sample)
report()
