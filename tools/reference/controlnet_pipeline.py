"""
Whole runs of rossjillian/controlnet with tiny random networks: test/fixtures/pipelines/. From a picture and a prompt to
pictures, through OpenCV's Canny and the StableDiffusionControlNetPipeline of diffusers 0.15.1, in float32 on a CPU; the
noise is that of a CUDA device. README.md beside this file describes what is written.
"""

import json
import tempfile
from pathlib import Path

import fixtures

fixtures.use_diffusers_0_15()

import cv2  # noqa: E402
import diffusers  # noqa: E402
import numpy  # noqa: E402
import torch  # noqa: E402
from diffusers import (  # noqa: E402
    AutoencoderKL,
    ControlNetModel,
    DDIMScheduler,
    StableDiffusionControlNetPipeline,
    UNet2DConditionModel,
)
from diffusers.schedulers import scheduling_ddim  # noqa: E402
from PIL import Image  # noqa: E402
from transformers import CLIPTextConfig, CLIPTextModel  # noqa: E402

import philox  # noqa: E402
from fixtures import randomize, save_tensors, write_json, write_provenance  # noqa: E402
from tokenizer import default_negative, load_tokenizer  # noqa: E402

torch.set_num_threads(1)
folder = fixtures.fixtures / "pipelines"
weights = folder / "controlnet-weights"
seed_of_networks = 100

sizes = dict(
    block_out_channels=(8, 16, 24, 24),
    layers_per_block=2,
    attention_head_dim=2,
    cross_attention_dim=8,
    norm_num_groups=4,
)
scheduler_config = dict(
    num_train_timesteps=1000,
    beta_start=0.00085,
    beta_end=0.012,
    beta_schedule="scaled_linear",
    set_alpha_to_one=False,
    skip_prk_steps=True,
    steps_offset=1,
    clip_sample=False,
)


def networks():
    """Stored as float16, as the published files with half the size are; computed in float32 from what is stored."""
    text_config = CLIPTextConfig(
        vocab_size=49408,
        hidden_size=8,
        intermediate_size=24,
        projection_dim=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=77,
    )
    made = {
        "text_encoder": CLIPTextModel(text_config),
        "unet": UNet2DConditionModel(sample_size=32, **sizes),
        "vae": AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(8, 8, 16, 16),
            layers_per_block=2,
            norm_num_groups=4,
        ),
        "controlnet": ControlNetModel(**sizes, conditioning_embedding_out_channels=(4, 8, 12, 16)),
    }
    for index, (name, network) in enumerate(made.items()):
        randomize(network, seed_of_networks + index)
        network.half()
        if name == "controlnet":
            target = weights / "lllyasviel" / "sd-controlnet-canny"
        else:
            target = weights / "runwayml" / "stable-diffusion-v1-5" / name
        file = "model.safetensors" if name == "text_encoder" else "diffusion_pytorch_model.safetensors"
        save_tensors(target / file, network.state_dict())
        if name == "text_encoder":
            config = {"architectures": ["CLIPTextModel"], **json.loads(text_config.to_json_string())}
        else:
            values = {key: value for key, value in network.config.items() if not key.startswith("_")}
            config = {"_class_name": type(network).__name__, "_diffusers_version": diffusers.__version__, **values}
        write_json(target / "config.json", config)
        network.float()
    return made


def output_size(width, height, resolution):
    """Specification §3.2: the smaller side becomes the resolution, both are rounded to multiples of 64."""
    ratio = resolution / min(width, height)
    return tuple(int(numpy.round(side * ratio / 64.0)) * 64 for side in (width, height))


def run(pipeline, request, photograph, dtype):
    """Returns the control picture, the prompt embeddings, the latents after each step, and the pictures."""
    pipeline.to(torch_dtype=dtype)
    edges = cv2.Canny(numpy.asarray(photograph), request["low_threshold"], request["high_threshold"])
    control = Image.fromarray(numpy.stack([edges] * 3, axis=2))
    width, height = output_size(*control.size, request["image_resolution"])
    shape = (request["num_outputs"], 4, height // 8, width // 8)
    offset = 0

    def normals(*_, **__):
        nonlocal offset
        values, offset = philox.draw(request["seed"], offset, int(numpy.prod(shape)))
        return torch.tensor(values, dtype=torch.float32).reshape(shape).to(dtype)

    trajectory = [normals()]
    scheduling_ddim.randn_tensor = normals
    pipeline.scheduler = DDIMScheduler.from_config(scheduler_config)
    pipeline.set_progress_bar_config(disable=True)
    with torch.no_grad():
        embeddings = pipeline._encode_prompt(
            request["prompt"], "cpu", 1, request["scale"] > 1, request["negative_prompt"]
        )
        pipeline(
            prompt=request["prompt"],
            negative_prompt=request["negative_prompt"],
            image=control,
            width=width,
            height=height,
            num_inference_steps=request["steps"],
            num_images_per_prompt=request["num_outputs"],
            guidance_scale=request["scale"],
            eta=request["eta"],
            latents=trajectory[0].clone(),
            callback=lambda step, timestep, latents: trajectory.append(latents.clone()),
            output_type="latent",
        )
        decoded = pipeline.decode_latents(trajectory[-1])
    return control, embeddings, trajectory, decoded


def write_case(name, pipeline, request, crop):
    case = folder / name
    photograph = Image.open(fixtures.fixtures / "photos" / "eileen-collins.jpg").convert("RGB").crop(crop)
    case.mkdir(parents=True, exist_ok=True)
    photograph.save(case / "image.png")
    control, embeddings, trajectory, decoded = run(pipeline, request, photograph, torch.float32)
    _, _, exact, exact_decoded = run(pipeline, request, photograph, torch.float64)
    control.convert("1").save(case / "control.png")
    pictures = (decoded * 255).round().astype("uint8")
    for index, picture in enumerate(pictures):
        Image.fromarray(picture).save(case / f"out-{index}.png")
    tensors = {f"latents.{index}": latents for index, latents in enumerate(trajectory)}
    save_tensors(case / "expected.safetensors", {"prompt_embeds": embeddings, **tensors})
    write_json(
        case / "case.json",
        {
            "kind": "pipeline",
            "model": "rossjillian/controlnet",
            "weights": "../controlnet-weights",
            "input": {"image": "image.png", **request},
            "control": "control.png",
            "expected": "expected.safetensors",
            "pictures": [f"out-{index}.png" for index in range(len(pictures))],
            "tolerance": {"latentsRelL2": 1e-3, "meanPixelDifference": 1},
        },
    )
    error = (trajectory[-1].double() - exact[-1]).norm() / exact[-1].norm()
    pixel_error = numpy.abs(pictures.astype(float) - (exact_decoded * 255).round()).mean()
    saturated = float(((pictures == 0) | (pictures == 255)).mean())
    write_provenance(
        case,
        ["torch", "diffusers", "transformers", "cv2", "PIL", "numpy"],
        seeds={"networks": seed_of_networks, "noise": request["seed"]},
        againstFloat64={"latentsRelL2": float(error), "meanPixelDifference": float(pixel_error)},
        shareOfBlackOrWhiteValues=saturated,
    )
    print(name, control.size, pictures.shape, float(error), float(pixel_error), saturated, trajectory[-1].std().item())


if __name__ == "__main__":
    made = networks()
    with tempfile.TemporaryDirectory() as name:
        pipeline = StableDiffusionControlNetPipeline(
            **made,
            tokenizer=load_tokenizer(Path(name)),
            scheduler=DDIMScheduler.from_config(scheduler_config),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    request = dict(
        prompt="An astronaut's portrait, crème-brûlée colours (8k,4k), 日本 style",
        structure="canny",
        num_outputs=2,
        image_resolution=256,
        scheduler="DDIM",
        steps=5,
        scale=9,
        seed=42,
        eta=0,
        negative_prompt=default_negative,
        low_threshold=100,
        high_threshold=200,
        return_reference_image=False,
    )
    wide, tall = (130, 20, 330, 180), (150, 0, 290, 210)
    write_case("controlnet", pipeline, request, wide)
    write_case("controlnet-eta", pipeline, {**request, "eta": 0.5, "seed": 2**40 + 5, "steps": 4}, tall)
    write_case(
        "controlnet-unguided",
        pipeline,
        {**request, "scale": 1, "num_outputs": 1, "steps": 3, "eta": 1, "low_threshold": 180, "high_threshold": 60},
        wide,
    )
