"""
Whole runs of rossjillian/controlnet with tiny random networks: test/fixtures/pipelines/. From a picture and a prompt to
pictures, through OpenCV's Canny, the StableDiffusionControlNetPipeline of diffusers 0.15.1 with each of its eight
schedulers, and the safety checker, in float32 on a CPU; the noise is that of a CUDA device. README.md beside this file
describes what is written.
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
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    LMSDiscreteScheduler,
    PNDMScheduler,
    StableDiffusionControlNetPipeline,
    UNet2DConditionModel,
    UniPCMultistepScheduler,
)
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker  # noqa: E402
from diffusers.schedulers import (  # noqa: E402
    scheduling_ddim,
    scheduling_euler_ancestral_discrete,
    scheduling_euler_discrete,
)
from PIL import Image  # noqa: E402
from transformers import CLIPConfig, CLIPImageProcessor, CLIPTextConfig, CLIPTextModel  # noqa: E402

import philox  # noqa: E402
from fixtures import randomize, repair_baddbmm, save_tensors, write_json, write_provenance  # noqa: E402
from schedulers_torch import use_linspace_of_torch_2  # noqa: E402
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
# As the original's make_scheduler names them.
schedulers = {
    "DDIM": DDIMScheduler,
    "DPMSolverMultistep": DPMSolverMultistepScheduler,
    "HeunDiscrete": HeunDiscreteScheduler,
    "K_EULER_ANCESTRAL": EulerAncestralDiscreteScheduler,
    "K_EULER": EulerDiscreteScheduler,
    "KLMS": LMSDiscreteScheduler,
    "PNDM": PNDMScheduler,
    "UniPCMultistep": UniPCMultistepScheduler,
}


# One picture of the case "controlnet-unsafe" is above it, and no other of any case is.
unsafe_concept, unsafe_threshold = 15, 0.25


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
    vision = dict(
        hidden_size=16,
        intermediate_size=40,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
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
        "safety_checker": StableDiffusionSafetyChecker(CLIPConfig(vision_config=vision, projection_dim=12)),
    }
    for index, (name, network) in enumerate(made.items()):
        randomize(network, seed_of_networks + index)
        if name == "safety_checker":
            set_thresholds(network)
        network.half()
        if name == "controlnet":
            target = weights / "lllyasviel" / "sd-controlnet-canny"
        else:
            target = weights / "runwayml" / "stable-diffusion-v1-5" / name
        of_transformers = name in ("text_encoder", "safety_checker")
        file = "model.safetensors" if of_transformers else "diffusion_pytorch_model.safetensors"
        save_tensors(target / file, network.state_dict())
        if of_transformers:
            config = {
                "architectures": [type(network).__name__],
                **json.loads(network.config.to_json_string(use_diff=name == "text_encoder")),
            }
        else:
            values = {key: value for key, value in network.config.items() if not key.startswith("_")}
            config = {"_class_name": type(network).__name__, "_diffusers_version": diffusers.__version__, **values}
        write_json(target / "config.json", config)
        network.float()
    extractor = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=32)
    write_json(
        weights / "runwayml" / "stable-diffusion-v1-5" / "feature_extractor" / "preprocessor_config.json",
        json.loads(extractor.to_json_string()),
    )
    return made, extractor


def set_thresholds(checker):
    """Above every cosine, except that of one concept."""
    with torch.no_grad():
        checker.special_care_embeds_weights.fill_(2)
        checker.concept_embeds_weights.fill_(2)
        checker.concept_embeds_weights[unsafe_concept] = unsafe_threshold


def output_size(width, height, resolution):
    """Specification §3.2: the smaller side becomes the resolution, both are rounded to multiples of 64."""
    ratio = resolution / min(width, height)
    return tuple(int(numpy.round(side * ratio / 64.0)) * 64 for side in (width, height))


def annotate(request, photograph):
    edges = cv2.Canny(numpy.asarray(photograph), request["low_threshold"], request["high_threshold"])
    return Image.fromarray(numpy.stack([edges] * 3, axis=2))


def run(pipeline, request, control, dtype):
    """Returns the prompt embeddings, the latents after each step, the pictures, and which of them are unsafe."""
    pipeline.to(torch_dtype=dtype)
    width, height = output_size(*control.size, request["image_resolution"])
    shape = (request["num_outputs"], 4, height // 8, width // 8)
    offset = 0

    def normals(*_, **__):
        nonlocal offset
        values, offset = philox.draw(request["seed"], offset, int(numpy.prod(shape)))
        return torch.tensor(values, dtype=torch.float32).reshape(shape).to(dtype)

    trajectory = [normals()]
    # Euler's noise is drawn and then multiplied by zero.
    for module in (scheduling_ddim, scheduling_euler_ancestral_discrete, scheduling_euler_discrete):
        module.randn_tensor = normals
    pipeline.scheduler = schedulers[request["scheduler"]].from_config(scheduler_config)
    pipeline.set_progress_bar_config(disable=True)
    with torch.no_grad():
        embeddings = pipeline._encode_prompt(
            request["prompt"], "cpu", 1, request["scale"] > 1, request["negative_prompt"]
        )
        result = pipeline(
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
            output_type="np",
        )
    assert len(trajectory) == request["steps"] + 1
    pictures = (result.images * 255).round().astype("uint8")
    return embeddings, trajectory, pictures, [bool(flag) for flag in result.nsfw_content_detected]


def compare(pipeline, request, control):
    """The run in float32, and how far it is from the run in float64."""
    embeddings, trajectory, pictures, unsafe = run(pipeline, request, control, torch.float32)
    _, exact, exact_pictures, exact_unsafe = run(pipeline, request, control, torch.float64)
    assert unsafe == exact_unsafe
    final, exact_final = trajectory[-1].double(), exact[-1]
    distance = {
        "latentsRelL2": float((final - exact_final).norm() / exact_final.norm()),
        "meanPixelDifference": float(numpy.abs(pictures.astype(float) - exact_pictures).mean()),
    }
    return embeddings, trajectory, pictures, unsafe, distance


packages = ["torch", "diffusers", "transformers", "cv2", "PIL", "numpy"]


def write_case(name, pipeline, request, crop):
    case = folder / name
    photograph = Image.open(fixtures.fixtures / "photos" / "eileen-collins.jpg").convert("RGB").crop(crop)
    case.mkdir(parents=True, exist_ok=True)
    photograph.save(case / "image.png")
    control = annotate(request, photograph)
    embeddings, trajectory, pictures, unsafe, distance = compare(pipeline, request, control)
    control.convert("1").save(case / "control.png")
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
            "unsafe": unsafe,
            "tolerance": {"latentsRelL2": 1e-3, "meanPixelDifference": 1},
        },
    )
    saturated = float(((pictures == 0) | (pictures == 255)).mean())
    write_provenance(
        case,
        packages,
        seeds={"networks": seed_of_networks, "noise": request["seed"]},
        againstFloat64=distance,
        shareOfBlackOrWhiteValues=saturated,
    )
    print(name, control.size, pictures.shape, distance, saturated, trajectory[-1].std().item(), unsafe)
    return unsafe


# Of the pictures of many runs, so that they take kilobytes.
picture_stride = 4


def write_schedulers(pipeline, request, of_case):
    """Every scheduler with guidance and several pictures, and in a single step without guidance."""
    case = folder / "controlnet-schedulers"
    control = annotate(request, Image.open(folder / of_case / "image.png"))
    runs, tensors, distances = [], {}, {}
    for index, name in enumerate(schedulers):
        for steps, changes in (5, {"num_outputs": 2, "eta": 0.7}), (1, {"scale": 0.6, "num_outputs": 1}):
            asked = {**request, "scheduler": name, "steps": steps, "seed": 300 + index, **changes}
            _, trajectory, pictures, unsafe, distance = compare(pipeline, asked, control)
            assert not any(unsafe)
            key = f"{name}-{steps}"
            files = [f"{key}-{index}.png" for index in range(len(pictures))]
            case.mkdir(parents=True, exist_ok=True)
            for file, picture in zip(files, pictures):
                Image.fromarray(picture[::picture_stride, ::picture_stride]).save(case / file)
            tensors[key] = trajectory[-1]
            distances[key] = distance
            runs.append({"name": key, "input": {"image": f"../{of_case}/image.png", **asked}, "pictures": files})
            print(key, distance, trajectory[-1].std().item(), ((pictures == 0) | (pictures == 255)).mean())
    save_tensors(case / "expected.safetensors", tensors)
    write_json(
        case / "case.json",
        {
            "kind": "pipelines",
            "model": "rossjillian/controlnet",
            "weights": "../controlnet-weights",
            "expected": "expected.safetensors",
            "pictureStride": picture_stride,
            "runs": runs,
            "tolerance": {"latentsRelL2": 1e-3, "meanPixelDifference": 1},
        },
    )
    write_provenance(case, packages, seeds={"networks": seed_of_networks}, againstFloat64=distances)


if __name__ == "__main__":
    repair_baddbmm()
    use_linspace_of_torch_2()
    made, extractor = networks()
    with tempfile.TemporaryDirectory() as name:
        pipeline = StableDiffusionControlNetPipeline(
            **made,
            tokenizer=load_tokenizer(Path(name)),
            scheduler=DDIMScheduler.from_config(scheduler_config),
            feature_extractor=extractor,
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
    unsafe = {**request, "num_outputs": 3, "steps": 2, "seed": 7}
    assert write_case("controlnet-unsafe", pipeline, unsafe, wide) == [True, False, False]
    write_schedulers(pipeline, request, "controlnet")
