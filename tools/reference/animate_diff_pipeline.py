"""
Whole runs of lucataco/animate-diff with tiny random networks: test/fixtures/pipelines/animate-diff*/. From a prompt to
frames, through AnimateDiff's own pipeline, networks and reading of checkpoints, on the release of diffusers that it was
written for, in float32 on a CPU; the noise is that of a CUDA device. Base and text encoder are those of
controlnet_pipeline.py. README.md beside this file describes what is written.
"""

import contextlib
import functools
import io
import json
import sys
import tempfile
from pathlib import Path

here = Path(__file__).resolve().parent
sys.path[:0] = [str(here / ".venv" / "diffusers-0.11.1"), str(here / ".venv" / "sources" / "AnimateDiff")]

import diffusers  # noqa: E402
import einops  # noqa: E402
import numpy  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from animatediff.models import motion_module  # noqa: E402
from animatediff.models.unet import UNet3DConditionModel  # noqa: E402
from animatediff.pipelines.pipeline_animation import AnimationPipeline  # noqa: E402
from animatediff.utils.convert_from_ckpt import (  # noqa: E402
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
)
from diffusers import AutoencoderKL, DDIMScheduler  # noqa: E402
from PIL import Image  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

import fixtures  # noqa: E402
import philox  # noqa: E402
from fixtures import randomize, repair_baddbmm, save_tensors, write_json, write_provenance  # noqa: E402
from original_layout import unet_name, vae_tensors  # noqa: E402
from tokenizer import load_tokenizer  # noqa: E402

torch.set_num_threads(1)
repair_baddbmm()

folder = fixtures.fixtures / "pipelines"
base = folder / "controlnet-weights" / "runwayml" / "stable-diffusion-v1-5"
weights = folder / "animate-diff-weights"
seed_of_networks = 500
frames = 16

unet_config = json.loads((base / "unet" / "config.json").read_text())
vae_config = json.loads((base / "vae" / "config.json").read_text())
# 32 in the code, as everywhere in the published networks; the channels here are fewer.
motion_module.TemporalTransformer3DModel = functools.partial(
    motion_module.TemporalTransformer3DModel, norm_num_groups=unet_config["norm_num_groups"]
)

# configs/inference/inference-v1.yaml and inference-v2.yaml
versions = {
    "mm_sd_v14": dict(use_inflated_groupnorm=False, motion_module_mid_block=False, positions=24),
    "mm_sd_v15": dict(use_inflated_groupnorm=False, motion_module_mid_block=False, positions=24),
    "mm_sd_v15_v2": dict(use_inflated_groupnorm=True, motion_module_mid_block=True, positions=32),
}
noise_schedule = dict(num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="linear")


def make_unet(version):
    """As `from_pretrained_2d` makes it of a repository's configuration, without weights."""
    options = dict(versions[version])
    module = dict(
        num_attention_heads=8,
        num_transformer_block=1,
        attention_block_types=("Temporal_Self", "Temporal_Self"),
        temporal_position_encoding=True,
        temporal_position_encoding_max_len=options.pop("positions"),
        temporal_attention_dim_div=1,
    )
    sizes = {key: unet_config[key] for key in ["block_out_channels", "layers_per_block", "norm_num_groups", "norm_eps"]}
    return UNet3DConditionModel(
        sample_size=64,
        **sizes,
        attention_head_dim=unet_config["attention_head_dim"],
        cross_attention_dim=unet_config["cross_attention_dim"],
        down_block_types=("CrossAttnDownBlock3D",) * 3 + ("DownBlock3D",),
        up_block_types=("UpBlock3D",) + ("CrossAttnUpBlock3D",) * 3,
        use_motion_module=True,
        motion_module_type="Vanilla",
        motion_module_kwargs=module,
        unet_use_cross_frame_attention=False,
        unet_use_temporal_attention=False,
        **options,
    )


def make_vae():
    keys = ["block_out_channels", "layers_per_block", "norm_num_groups", "down_block_types", "up_block_types"]
    return AutoencoderKL(**{key: vae_config[key] for key in keys})


def make_text_encoder():
    config = json.loads((base / "text_encoder" / "config.json").read_text())
    encoder = transformers.CLIPTextModel(transformers.CLIPTextConfig(**config))
    encoder.load_state_dict(load_file(base / "text_encoder" / "model.safetensors"))
    return encoder.float().eval()


def write_checkpoint(path):
    """A personalised checkpoint in the layout of the training code, with what such files also hold."""
    unet = randomize(make_unet("mm_sd_v15_v2"), seed_of_networks).half()
    vae = randomize(make_vae(), seed_of_networks + 1).half()
    later_names = {".query.": ".to_q.", ".key.": ".to_k.", ".value.": ".to_v.", ".proj_attn.": ".to_out.0."}
    vae_state = {}
    for name, tensor in vae.state_dict().items():
        for old, new in later_names.items():
            name = name.replace(old, new)
        vae_state[name] = tensor
    tensors = {
        "model.diffusion_model." + unet_name(name, 3, (1, 2, 3)): tensor
        for name, tensor in unet.state_dict().items()
        if "motion_modules." not in name
    }
    tensors |= {"first_stage_model." + name: tensor for name, tensor in vae_tensors(vae_state, 4).items()}
    # Of its own text encoder, which the original does not use.
    text_encoder = "cond_stage_model.transformer.text_model."
    tensors[text_encoder + "final_layer_norm.weight"] = torch.full([8], 7.0).half()
    tensors[text_encoder + "final_layer_norm.bias"] = torch.full([8], -3.0).half()
    tensors["alphas_cumprod"] = torch.linspace(1, 0, 1000)
    tensors["model_ema.decay"] = torch.tensor(0.9999)
    save_tensors(path, tensors)


def write_motion_module(path, version, seed, wrapped):
    """`wrapped`: as a training run saves it."""
    unet = randomize(make_unet(version), seed).half()
    state = {name: tensor for name, tensor in unet.state_dict().items() if "motion_modules." in name}
    if wrapped:
        state = {"epoch": 3, "global_step": 1000, "state_dict": {f"module.{k}": v for k, v in state.items()}}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path)


def load(version, checkpoint, motion):
    """As predict.py does: the modules into the UNet, then UNet and autoencoder from the checkpoint."""
    unet, vae = make_unet(version), make_vae()
    state = torch.load(motion)
    state = {name.removeprefix("module."): tensor for name, tensor in state.get("state_dict", state).items()}
    missing, unexpected = unet.load_state_dict(state, strict=False)
    assert len(unexpected) == 0
    tensors = load_file(checkpoint)
    with contextlib.redirect_stdout(io.StringIO()):
        vae.load_state_dict(convert_ldm_vae_checkpoint(tensors, vae.config))
        converted = convert_ldm_unet_checkpoint(tensors, unet.config)
    left, unexpected = unet.load_state_dict(converted, strict=False)
    assert len(unexpected) == 0 and set(left) == set(state) and set(missing) == set(converted)
    return unet.float().eval(), vae.float().eval()


def run(request, width, height, dtype, tokenizer):
    """Returns the latents after each step, and the frames as numbers from 0 to 1."""
    unet, vae = load(
        request["motion_module"],
        weights / "civitai" / "78775" / request["path"],
        weights / "guoyww" / "animatediff" / f"{request['motion_module']}.ckpt",
    )
    pipeline = AnimationPipeline(
        vae=vae,
        text_encoder=make_text_encoder(),
        tokenizer=tokenizer,
        unet=unet,
        scheduler=DDIMScheduler(**noise_schedule),
    )
    for network in (pipeline.vae, pipeline.text_encoder, pipeline.unet):
        network.to(dtype)
    pipeline.set_progress_bar_config(disable=True)
    shape = (1, 4, frames, height // 8, width // 8)
    seed = int(request["seed"])
    noise = torch.tensor(philox.draw(seed, 0, int(numpy.prod(shape)))[0], dtype=torch.float32).reshape(shape).to(dtype)
    trajectory = [noise]
    video = pipeline(
        request["prompt"],
        negative_prompt=request["n_prompt"],
        num_inference_steps=request["steps"],
        guidance_scale=request["guidance_scale"],
        width=width,
        height=height,
        video_length=frames,
        latents=noise.clone(),
        callback=lambda step, timestep, latents: trajectory.append(latents.clone()),
    ).videos
    return trajectory, video[0]


def as_pictures(video):
    """[3, F, H, W] -> [F, H, W, 3], as `save_videos_grid` in animatediff/utils/util.py makes bytes of them."""
    return (video.permute(1, 2, 3, 0) * 255).numpy().astype(numpy.uint8)


def write_case(name, request, width, height, tokenizer):
    case = folder / name
    trajectory, video = run(request, width, height, torch.float32, tokenizer)
    exact, exact_video = run(request, width, height, torch.float64, tokenizer)
    pictures, exact_pictures = as_pictures(video), as_pictures(exact_video)
    case.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pictures.reshape(frames * height, width, 3)).save(case / "frames.png", optimize=True)
    save_tensors(case / "expected.safetensors", {f"latents.{index}": item for index, item in enumerate(trajectory)})
    write_json(
        case / "case.json",
        {
            "kind": "pipeline",
            "model": "lucataco/animate-diff",
            "weights": ["../controlnet-weights", "../animate-diff-weights"],
            "input": request,
            "size": {"frames": frames, "width": width, "height": height},
            "expected": "expected.safetensors",
            "pictures": ["frames.png"],
            "tolerance": {"latentsRelL2": 1e-3, "meanPixelDifference": 1},
        },
    )
    error = (trajectory[-1].double() - exact[-1]).norm() / exact[-1].norm()
    pixel_error = numpy.abs(pictures.astype(float) - exact_pictures).mean()
    saturated = float(((pictures == 0) | (pictures == 255)).mean())
    motion = float(numpy.abs(numpy.diff(pictures.astype(float), axis=0)).mean())
    write_provenance(
        case,
        ["torch", "diffusers", "transformers", "einops", "PIL", "numpy"],
        animatediff="guoyww/AnimateDiff at 1904a01",
        seeds={"networks": seed_of_networks, "noise": request["seed"]},
        againstFloat64={"latentsRelL2": float(error), "meanPixelDifference": float(pixel_error)},
        shareOfBlackOrWhiteValues=saturated,
        meanDifferenceOfFrames=motion,
    )
    print(name, pictures.shape, float(error), float(pixel_error), saturated, motion, trajectory[-1].std().item())


if __name__ == "__main__":
    request = dict(
        motion_module="mm_sd_v14",
        path="toonyou_beta3.safetensors",
        prompt="masterpiece, best quality, a lighthouse in a storm (8k), crème-brûlée colours, 日本 style",
        n_prompt="worst quality, low quality, letterboxed",
        steps=5,
        guidance_scale=7.5,
        seed=42,
    )
    write_checkpoint(weights / "civitai" / "78775" / request["path"])
    for index, version in enumerate(versions):
        target = weights / "guoyww" / "animatediff" / f"{version}.ckpt"
        write_motion_module(target, version, seed_of_networks + 10 + index, wrapped=version == "mm_sd_v15")
    with tempfile.TemporaryDirectory() as name:
        tokenizer = load_tokenizer(Path(name))
    write_case("animate-diff", request, 128, 64, tokenizer)
    # One of the seeds in AnimateDiff's own examples; JSON in JavaScript has no number for it.
    second = dict(motion_module="mm_sd_v15_v2", n_prompt="", steps=4, seed="10788741199826055526")
    write_case("animate-diff-v2", {**request, **second}, 64, 128, tokenizer)
    third = dict(motion_module="mm_sd_v15", guidance_scale=1, steps=3, seed=0)
    write_case("animate-diff-unguided", {**request, **third}, 64, 64, tokenizer)
