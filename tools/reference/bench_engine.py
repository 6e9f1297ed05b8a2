"""The torch side of bench/engine.js: the same networks in diffusers, over the same weights. Answers `step` and `save`."""

import json
import os
import sys
import time

import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from safetensors.torch import load_file, save_file

network, folder = sys.argv[1:]


def answer(**values):
    print(json.dumps(values), flush=True)


started = time.perf_counter()
if network == "vae":
    widths = (128, 256, 512, 512)
    vae = AutoencoderKL(
        block_out_channels=widths,
        layers_per_block=2,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
    ).eval()
    # The file has the decoder alone.
    unexpected = vae.load_state_dict(load_file(f"{folder}/vae.safetensors"), strict=False).unexpected_keys
    assert not unexpected, unexpected
else:
    unet = UNet2DConditionModel(cross_attention_dim=768).eval()
    unet.load_state_dict(load_file(f"{folder}/unet.safetensors"))
    controlnet = ControlNetModel(cross_attention_dim=768).eval()
    controlnet.load_state_dict(load_file(f"{folder}/controlnet.safetensors"))
inputs = load_file(f"{folder}/inputs.safetensors")
with open("/proc/self/maps") as maps:
    blas = "openblas" if "openblas" in maps.read() else "unknown"
opened = round(1000 * (time.perf_counter() - started))
torch.set_num_threads(os.cpu_count())
answer(openMilliseconds=opened, threads=torch.get_num_threads(), blas=blas, version=torch.__version__)


@torch.inference_mode()
def step():
    if network == "vae":
        return vae.decode(inputs["latents"]).sample
    sample, timestep, context = inputs["sample"], inputs["timestep"], inputs["encoder_hidden_states"]
    condition = inputs["controlnet_cond.0"].expand(sample.shape[0], -1, -1, -1)
    down, middle = controlnet(sample, timestep, context, condition, 1.0, return_dict=False)
    return unet(
        sample,
        timestep,
        context,
        down_block_additional_residuals=down,
        mid_block_additional_residual=middle,
    ).sample


for line in sys.stdin:
    if line.strip() == "step":
        before, used = time.perf_counter(), time.process_time()
        output = step()
        answer(seconds=time.perf_counter() - before, processorSeconds=time.process_time() - used)
    else:
        save_file({"sample": output.contiguous()}, f"{folder}/torch-output.safetensors")
        answer()
