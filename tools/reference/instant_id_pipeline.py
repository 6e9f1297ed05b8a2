"""
Whole runs of zsxkib/instant-id with tiny random networks: test/fixtures/pipelines/instant-id*/. The original's own
`Predictor.predict` runs at commit b8dc74a: its resize rule, choice among faces, key-point picture, choice of ControlNets
and schedulers, its pipeline class on diffusers 0.25.0 and transformers 4.36.2 with the LCM LoRA by peft, its encoding of
pictures. Faces are given, as the detector would return them. In float32 on a CPU; the noise is that of a CUDA device. The
base and InstantID's networks are those of tiny_sdxl.py. README.md beside this file describes what is written.
"""

import io
import json
import sys
import tempfile
import types
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path

import fixtures

fixtures.use_transformers_4_36()
fixtures.use_diffusers_0_25()
sys.path.insert(0, str(Path(__file__).resolve().parent / ".venv" / "peft-0.8.2"))

import cv2  # noqa: E402
import numpy  # noqa: E402
import torch  # noqa: E402
from diffusers import EulerDiscreteScheduler  # noqa: E402
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker  # noqa: E402
from PIL import Image  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from transformers import CLIPConfig, CLIPImageProcessor  # noqa: E402

import annotators_instant_id  # noqa: E402
import philox  # noqa: E402
import tiny_sdxl  # noqa: E402
from fixtures import randomize, repair_baddbmm, save_tensors, write_json, write_provenance  # noqa: E402
from schedulers_torch import use_linspace_of_torch_2  # noqa: E402

torch.set_num_threads(1)
folder = fixtures.fixtures / "pipelines"
lcm_lora = folder / "instant-id-weights" / "latent-consistency" / "lcm-lora-sdxl" / "pytorch_lora_weights.safetensors"
photo = Image.open(fixtures.fixtures / "photos" / "eileen-collins.jpg").convert("RGB")
seed_of_lora = 700


def original():
    """cog/predict.py, without what serves, finds faces and draws structures: those are handed in."""
    stand_ins = {
        "cog": dict(BasePredictor=object, Input=lambda **_: None, Path=Path),
        "insightface": {},
        "insightface.app": dict(FaceAnalysis=None),
        "controlnet_util": dict(openpose=None, get_depth_map=None, get_canny_image=None),
        "model_util": dict(get_torch_device=lambda: torch.device("cpu")),
    }
    for name, values in stand_ins.items():
        module = types.ModuleType(name)
        vars(module).update(values)
        sys.modules[name] = module
    sys.path.insert(0, str(fixtures.sources / "InstantID"))
    return fixtures.source("InstantID", "cog/predict.py")


class FaceAnalysis:
    """Returns given faces; finding them is compared elsewhere."""

    def __init__(self, *found):
        self.found = list(found)

    def get(self, picture):
        faces = self.found.pop(0)
        return [{name: numpy.array(values, numpy.float32) for name, values in face.items()} for face in faces]


def write_lcm_lora(unet):
    """On every layer that the published one has additions to; named as there."""
    generator = torch.Generator().manual_seed(seed_of_lora)
    tensors, rank = {}, 2
    for name, layer in unet.named_modules():
        if not isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)) or "_block" not in name:
            continue
        down = torch.randn(rank, *layer.weight.shape[1:], generator=generator) / layer.weight[0].numel() ** 0.5
        up = 0.5 * torch.randn(layer.weight.shape[0], rank, *(1,) * (layer.weight.dim() - 2), generator=generator)
        key = f"lora_unet_{name.replace('.', '_')}"
        tensors[f"{key}.lora_down.weight"] = down.half()
        tensors[f"{key}.lora_up.weight"] = up.half()
        tensors[f"{key}.alpha"] = torch.tensor(1.5)
    assert tensors
    save_tensors(lcm_lora, tensors)


def make_predictor(module, vocabulary):
    """What `Predictor.setup` and `load_weights` leave behind."""
    pipeline_module = sys.modules[module.StableDiffusionXLInstantIDPipeline.__module__]
    full_size = pipeline_module.Resampler
    # The sizes that the original writes out.
    pipeline_module.Resampler = lambda **arguments: full_size(**{**arguments, **tiny_sdxl.resampler_config})
    tokenizer, tokenizer_2 = tiny_sdxl.load_tokenizers(vocabulary)
    predictor = module.Predictor()
    predictor.controlnet_identitynet = tiny_sdxl.load(tiny_sdxl.identity_net)
    predictor.controlnet_map = {
        "pose": tiny_sdxl.load(tiny_sdxl.controlnet_pose),
        "canny": tiny_sdxl.load(tiny_sdxl.controlnet_canny),
        "depth": tiny_sdxl.load(tiny_sdxl.controlnet_depth_small),
    }
    predictor.controlnet_map_fn = structures()
    unet = tiny_sdxl.load_unet()
    write_lcm_lora(unet)
    predictor.pipe = module.StableDiffusionXLInstantIDPipeline(
        vae=tiny_sdxl.load_vae(),
        text_encoder=tiny_sdxl.load_text_encoder(),
        text_encoder_2=tiny_sdxl.load_text_encoder_2(),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer_2,
        unet=unet,
        controlnet=[predictor.controlnet_identitynet],
        scheduler=EulerDiscreteScheduler.from_config(tiny_sdxl.scheduler_config),
        # It is not installed where the original runs either.
        add_watermarker=False,
    )
    predictor.pipe.load_ip_adapter_instantid(str(tiny_sdxl.ip_adapter))
    predictor.pipe.load_lora_weights(str(lcm_lora.parent), weight_name=lcm_lora.name)
    assert predictor.pipe.get_list_adapters()
    predictor.pipe.disable_lora()
    predictor.pipe.set_progress_bar_config(disable=True)
    predictor.base_weights = "stable-diffusion-xl-base-1.0"
    predictor.safety_checker, predictor.feature_extractor = load_safety()
    return predictor


def load_safety():
    config = json.loads((tiny_sdxl.safety / "safety_checker" / "config.json").read_text())
    checker = StableDiffusionSafetyChecker(CLIPConfig(**config))
    checker.load_state_dict(load_file(tiny_sdxl.safety / "safety_checker" / "model.safetensors"), strict=False)
    return checker.float().eval(), CLIPImageProcessor.from_pretrained(tiny_sdxl.safety / "feature_extractor")


def structures():
    """As the original's controlnet_util.py makes them, with small networks."""
    return {
        "pose": annotators_instant_id.pose_of(annotators_instant_id.annotators_pose.narrow_network()),
        "canny": annotators_instant_id.edges_of,
        "depth": annotators_instant_id.depth_of(annotators_instant_id.small_network()),
    }


defaults = dict(
    pose_image=None,
    prompt="a person",
    negative_prompt="",
    sdxl_weights="stable-diffusion-xl-base-1.0",
    scheduler="EulerDiscreteScheduler",
    num_inference_steps=30,
    guidance_scale=7.5,
    ip_adapter_scale=0.8,
    controlnet_conditioning_scale=0.8,
    enable_pose_controlnet=True,
    pose_strength=0.4,
    enable_canny_controlnet=False,
    canny_strength=0.3,
    enable_depth_controlnet=False,
    depth_strength=0.5,
    enable_lcm=False,
    lcm_num_inference_steps=5,
    lcm_guidance_scale=1.5,
    enhance_nonface_region=True,
    output_format="png",
    output_quality=80,
    num_outputs=1,
    disable_safety_checker=True,
)


draw = cache(philox.draw)


def run(predictor, request, faces, dtype):
    """Returns the latents at the end, the pictures, and what the original said."""
    pipe = predictor.pipe
    networks = [pipe.unet, pipe.vae, pipe.image_proj_model]
    for network in [*networks, predictor.controlnet_identitynet, *predictor.controlnet_map.values()]:
        network.to(dtype)
    # CLIP's mask cannot be made in float64; the prompts are the same in both runs.
    encode = type(pipe).encode_prompt
    pipe.encode_prompt = lambda *arguments, **options: tuple(
        states if states is None else states.to(dtype) for states in encode(pipe, *arguments, **options)
    )
    offset, decoded = 0, []

    def normals(shape, dtype=None, **_):
        nonlocal offset
        values, offset = draw(request["seed"] % 2**64, offset, int(numpy.prod(shape)))
        return torch.tensor(values, dtype=torch.float32).reshape(shape).to(dtype)

    for name, module in list(sys.modules.items()):
        if name.startswith("diffusers.") and hasattr(module, "randn_tensor"):
            module.randn_tensor = lambda shape, generator=None, device=None, dtype=None, **_: normals(shape, dtype)
    decode = type(pipe.vae).decode

    def decode_and_note(latents, **options):
        decoded.append(latents * pipe.vae.config.scaling_factor)
        return decode(pipe.vae, latents, **options)

    pipe.vae.decode = decode_and_note
    # Each request begins as the first one does: the original keeps what an earlier one has changed.
    pipe.scheduler = EulerDiscreteScheduler.from_config(tiny_sdxl.scheduler_config)
    predictor.app = FaceAnalysis(*faces)
    said = io.StringIO()
    with redirect_stdout(said), torch.no_grad():
        paths = predictor.predict(**{**defaults, **request})
    (latents,) = decoded
    return latents, [numpy.asarray(Image.open(path)) for path in paths], said.getvalue().splitlines()


def write_sizes(module):
    """Of pictures, before and after the original's resize rule, for both of its longest sides."""
    generator = numpy.random.default_rng(7)
    sides = [(1, 1), (1, 20), (64, 64), (768, 1024), (1920, 1080), (1080, 1920), (1024, 1024), (4000, 201), (33, 500)]
    sides += [(int(w), int(h)) for w, h in generator.integers(40, 900, (40, 2))]
    rows = []
    for width, height in sides:
        for longest in (1280, 1024):
            try:
                after = module.resize_img(Image.new("L", (width, height)), max_side=longest).size
            except ValueError:
                after = None
            rows.append({"before": [width, height], "longest": longest, "after": after and list(after)})
    write_json(folder / "instant-id" / "sizes.json", rows, indent=None)
    print(len(rows), "sizes,", sum(row["after"] is None for row in rows), "of strips")


def write_encoded():
    """A picture as the original saves it (`save_params` of `Predictor.predict`)."""
    picture = photo.crop((180, 60, 271, 127))
    picture.save(folder / "instant-id" / "encoded.png")
    for name, quality in ("webp", 80), ("jpeg", 80), ("webp", 3), ("jpeg", 0):
        file = folder / "instant-id" / f"encoded-{quality}.{name}"
        picture.save(file, format=name.upper(), quality=quality, optimize=True)


packages = ["torch", "diffusers", "transformers", "peft", "controlnet_aux", "cv2", "PIL", "numpy"]


def face(left, top, side, score, seed):
    """Of a person who looks a little aside, with no point near the edge of a pixel, where rounding would decide."""
    left, top = left + 0.4, top + 0.3
    points = [(0.3, 0.4), (0.7, 0.45), (0.5, 0.6), (0.35, 0.8), (0.65, 0.85)]
    embedding = torch.randn(512, generator=torch.Generator().manual_seed(seed)).tolist()
    return {
        "bbox": [left, top, left + side, top + 1.2 * side],
        "kps": [[left + side * x, top + 1.2 * side * y] for x, y in points],
        "det_score": score,
        "embedding": embedding,
    }


def write_run(predictor, case, name, request, faces, strides):
    """Pictures go to files of their own; returns what the case says of the run, and its tensors."""
    files = {field: str(case / file) for field, file in request.items() if field in ("image", "pose_image")}
    latents, pictures, said = run(predictor, {**request, **files}, faces, torch.float32)
    exact, exact_pictures, _ = run(predictor, {**request, **files}, faces, torch.float64)
    distance = {
        "latentsRelL2": float((latents.double() - exact).norm() / exact.norm()),
        "meanPixelDifference": float(
            numpy.abs(numpy.array(pictures).astype(float) - numpy.array(exact_pictures)).mean()
        ),
    }
    names = [f"{name}-{index}.png" for index in range(len(pictures))]
    for file, picture in zip(names, pictures):
        Image.fromarray(picture[:: strides[1], :: strides[1]]).save(case / file, optimize=True)
    saturated = float(((numpy.array(pictures) == 0) | (numpy.array(pictures) == 255)).mean())
    print(name, pictures[0].shape, distance, latents.std().item(), saturated)
    described = {
        "name": name,
        "input": {**defaults, **request},
        "faces": [
            [{key: value for key, value in found.items() if key != "embedding"} for found in picture] for picture in faces
        ],
        "pictures": names,
        "said": [line for line in said if "/tmp" not in line],
        "latentStride": strides[0],
        "pictureStride": strides[1],
    }
    # The embedding is always that of the photograph, of the face that the original chooses.
    tensors = {
        f"{name}.latents": latents[..., :: strides[0], :: strides[0]],
        f"{name}.embedding": torch.tensor(chosen(faces[0])["embedding"]),
    }
    return described, tensors, {**distance, "shareOfBlackOrWhiteValues": saturated}


def chosen(faces):
    return max(faces, key=lambda found: (found["bbox"][2] - found["bbox"][0]) * found["bbox"][3] - found["bbox"][1])


def crop(case, name, box):
    photo.crop(box).save(case / name)
    return name


def write_case(predictor):
    case = folder / "instant-id"
    case.mkdir(parents=True, exist_ok=True)
    wide, tall = crop(case, "wide.png", (20, 40, 470, 220)), crop(case, "tall.png", (230, 10, 400, 435))
    thin, strip = crop(case, "thin.png", (240, 20, 270, 320)), crop(case, "strip.png", (90, 120, 346, 140))
    # The choice falls on a face that is neither the surest nor the largest.
    crowd = [face(60, 50, 200, 0.9, 11), face(500, 230, 190, 0.8, 12), face(900, 20, 150, 0.7, 13)]
    pair = [face(400, 40, 160, 0.9, 21), face(690, 120, 110, 0.6, 22)]
    alone, small = [face(30, 500, 70, 0.8, 31)], [face(400, 8, 40, 0.7, 41)]
    words = dict(
        prompt="An astronaut's portrait, crème-brûlée colours (8k,4k), 日本 style", negative_prompt="blurry, (text:1.2)"
    )
    runs = [
        ("default", dict(image=wide, num_inference_steps=4, seed=42), [crowd], (2, 4)),
        (
            "everything",
            dict(
                image=tall, pose_image=wide, **words, pose_strength=0.9, enable_canny_controlnet=True, canny_strength=0.6,
                enable_depth_controlnet=True, depth_strength=0.7, ip_adapter_scale=1.1, controlnet_conditioning_scale=0.5,
                enable_lcm=True, lcm_num_inference_steps=4, num_outputs=2, seed=2**40 + 5, enhance_nonface_region=False,
            ),
            [alone, pair],
            (2, 4),
        ),
        (
            "unguided",
            dict(
                image=thin, **words, enable_pose_controlnet=False, ip_adapter_scale=1.3, guidance_scale=1, num_outputs=2,
                scheduler="DPMSolverMultistepScheduler-Karras-SDE", num_inference_steps=5, seed=-3,
            ),
            [[face(20, 600, 80, 0.8, 51)]],
            (1, 4),
        ),
    ]  # fmt: skip
    quick = dict(image=wide, pose_image=strip, **words, enable_pose_controlnet=False, guidance_scale=5, num_outputs=2)
    schedulers = (
        "DEISMultistepScheduler", "HeunDiscreteScheduler", "EulerDiscreteScheduler", "DPMSolverMultistepScheduler",
        "DPMSolverMultistepScheduler-Karras", "DPMSolverMultistepScheduler-Karras-SDE",
    )  # fmt: skip
    for index, scheduler in enumerate(schedulers):
        request = {**quick, "scheduler": scheduler, "num_inference_steps": 4 + index % 3, "seed": 300 + index}
        runs.append((scheduler, request, [crowd, small], (1, 4)))
    lcm = dict(enable_lcm=True, lcm_num_inference_steps=5, lcm_guidance_scale=1, controlnet_conditioning_scale=0)
    runs.append(("LCM", {**quick, **lcm, "enable_canny_controlnet": True, "seed": 310}, [crowd, small], (1, 4)))

    described, tensors, distances = [], {}, {}
    for name, request, faces, strides in runs:
        found, values, distance = write_run(predictor, case, name, request, faces, strides)
        described.append(found)
        tensors.update(values)
        distances[name] = distance
    save_tensors(case / "expected.safetensors", tensors)
    write_json(
        case / "case.json",
        {
            "kind": "pipelines",
            "model": "zsxkib/instant-id",
            "weights": ["../sdxl-weights", "../instant-id-weights", "../controlnet-weights"],
            "expected": "expected.safetensors",
            "runs": described,
            "tolerance": {"latentsRelL2": 1e-3, "meanPixelDifference": 1},
        },
    )
    write_provenance(case, packages, seeds={"lora": seed_of_lora}, againstFloat64=distances)


if __name__ == "__main__":
    # See opencv.py.
    cv2.ipp.setUseIPP(False)
    cv2.setNumThreads(1)
    repair_baddbmm()
    use_linspace_of_torch_2()
    module = original()
    write_sizes(module)
    write_encoded()
    with tempfile.TemporaryDirectory() as vocabulary:
        write_case(make_predictor(module, vocabulary))
