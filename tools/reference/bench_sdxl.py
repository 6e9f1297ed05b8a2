"""The torch side of bench/sdxl.js: the same step in diffusers, over the same weights."""

import json
import os
import statistics
import sys
import time

import torch
from diffusers import UNet2DConditionModel
from safetensors import safe_open
from safetensors.torch import load_file

from unet_headers import sdxl

folder, steps = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(os.cpu_count())

started = time.perf_counter()
# Without initial values, which `unet_headers` has switched off.
unet = UNet2DConditionModel(
    up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"), sample_size=128, **sdxl
).eval()
with safe_open(f"{folder}/unet.safetensors", "pt") as weights:
    for name, parameter in unet.named_parameters():
        parameter.requires_grad_(False).copy_(weights.get_tensor(name))
opened = time.perf_counter() - started
inputs = load_file(f"{folder}/inputs.safetensors")


@torch.inference_mode()
def step():
    added = {name: inputs[name] for name in ("text_embeds", "time_ids")}
    context = inputs["encoder_hidden_states"]
    return unet(inputs["sample"], inputs["timestep"], context, added_cond_kwargs=added).sample


taken = []
for _ in range(steps + 1):
    before, used = time.perf_counter(), time.process_time()
    step()
    taken.append((time.perf_counter() - before, time.process_time() - used))
seconds, processor = zip(*taken[1:])
result = {
    "openMilliseconds": round(1000 * opened),
    "threads": torch.get_num_threads(),
    "stepSeconds": statistics.median(seconds),
    "stepProcessorSeconds": statistics.median(processor),
}
print(json.dumps(result))
