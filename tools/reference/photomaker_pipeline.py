"""
Whole runs of tencentarc/photomaker with tiny random networks: test/fixtures/pipelines/photomaker*. From photographs and a
prompt to pictures, through the original's own pipeline and identity encoder at commit 6ec44fc, with its LoRA fused by
peft, on diffusers 0.25.0 and transformers 4.36.2, in float32 on a CPU; the noise is that of a CUDA device. The base is
that of tiny_sdxl.py. README.md beside this file describes what is written.
"""

import contextlib
import io
import json
import os
import runpy
import sys
import tempfile
import types
from pathlib import Path

import fixtures

fixtures.use_diffusers_0_25()
fixtures.use_transformers_4_36()
sys.path[:0] = [str(fixtures.sources.parent / "peft-0.7.1"), str(fixtures.sources / "PhotoMaker")]

import numpy  # noqa: E402
import torch  # noqa: E402
from diffusers import EulerDiscreteScheduler  # noqa: E402
from diffusers.pipelines.stable_diffusion_xl import pipeline_stable_diffusion_xl  # noqa: E402
from diffusers.schedulers import scheduling_euler_discrete  # noqa: E402
from diffusers.utils import load_image  # noqa: E402
from photomaker import PhotoMakerIDEncoder, PhotoMakerStableDiffusionXLPipeline  # noqa: E402
from photomaker import model as original_model  # noqa: E402
from photomaker import pipeline as original_pipeline  # noqa: E402
from PIL import Image  # noqa: E402

import philox  # noqa: E402
import tiny_sdxl  # noqa: E402
from fixtures import randomize, repair_baddbmm, save_tensors, write_json, write_provenance  # noqa: E402
from schedulers_torch import use_linspace_of_torch_2  # noqa: E402

torch.set_num_threads(1)
folder = fixtures.fixtures / "pipelines"
adapter = folder / "photomaker-weights" / "TencentARC" / "PhotoMaker" / "photomaker-v1.bin"
styles = runpy.run_path(str(fixtures.sources / "PhotoMaker" / "gradio_demo" / "style_template.py"))["styles"]
seed_of_networks = 300
rank = 3
# The sizes that the original writes out; the processor that it makes cuts pictures of 224 pixels.
vision_sizes = dict(
    hidden_size=32,
    intermediate_size=72,
    num_attention_heads=16,
    num_hidden_layers=2,
    image_size=224,
    patch_size=28,
    projection_dim=tiny_sdxl.first_width,
)


class SmallIDEncoder(PhotoMakerIDEncoder):
    def __init__(self):
        original_model.VISION_CONFIG_DICT = vision_sizes
        super().__init__()
        self.visual_projection_2 = torch.nn.Linear(vision_sizes["hidden_size"], tiny_sdxl.second_width, bias=False)
        self.fuse_module = original_model.FuseModule(tiny_sdxl.context_width)


original_pipeline.PhotoMakerIDEncoder = SmallIDEncoder


def write_adapter(unet):
    """As published: half floats in a map of two maps, saved by PyTorch."""
    encoder = randomize(SmallIDEncoder(), seed_of_networks).half().state_dict()
    generator = torch.Generator().manual_seed(seed_of_networks + 1)
    lora = {}
    for name, layer in unet.named_modules():
        attention, _, projection = name.rpartition(".to_")
        if not attention or not isinstance(layer, torch.nn.Linear):
            continue
        key = f"unet.{attention}.processor.to_{projection.removesuffix('.0')}_lora"
        wide, narrow = layer.weight.shape
        lora[f"{key}.down.weight"] = (torch.randn(rank, narrow, generator=generator) / narrow**0.5).half()
        lora[f"{key}.up.weight"] = (0.5 * torch.randn(wide, rank, generator=generator) / rank**0.5).half()
    adapter.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"id_encoder": encoder, "lora_weights": lora}, adapter)


def make_pipeline(unet, vocabulary):
    """The original's `setup`."""
    tokenizer, tokenizer_2 = tiny_sdxl.load_tokenizers(vocabulary)
    pipeline = PhotoMakerStableDiffusionXLPipeline(
        unet=unet,
        vae=tiny_sdxl.load_vae(),
        text_encoder=tiny_sdxl.load_text_encoder(),
        text_encoder_2=tiny_sdxl.load_text_encoder_2(),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer_2,
        scheduler=tiny_sdxl.load_scheduler(),
        add_watermarker=False,
    )
    pipeline.load_photomaker_adapter(str(adapter.parent), subfolder="", weight_name=adapter.name, trigger_word="img")
    pipeline.scheduler = EulerDiscreteScheduler.from_config(pipeline.scheduler.config)
    pipeline.fuse_lora()
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def apply_style(style_name, positive, negative):
    p, n = styles[style_name]
    return p.replace("{prompt}", positive), n + " " + negative


def run(pipeline, request, photographs, dtype):
    """The original's `predict` after its checks. What the UNet sees at each step, the latents at the end, and pictures."""
    # The attention mask of the text encoders is made with it.
    torch.set_default_dtype(dtype)
    pipeline.to(torch_dtype=dtype)
    pipeline.id_encoder.to(dtype)
    prompt, negative_prompt = apply_style(request["style_name"], request["prompt"], request["negative_prompt"])
    start_merge_step = int(float(request["style_strength_ratio"]) / 100 * request["num_steps"])
    if start_merge_step > 30:
        start_merge_step = 30

    def first_noise(shape, **_):
        values, _ = philox.draw(request["seed"], 0, int(numpy.prod(shape)))
        return torch.tensor(values, dtype=torch.float32).reshape(shape).to(dtype)

    pipeline_stable_diffusion_xl.randn_tensor = first_noise
    # Drawn after that and multiplied by nothing.
    scheduling_euler_discrete.randn_tensor = lambda shape, **_: torch.zeros(shape, dtype=dtype)
    seen, finished = [], []
    scheduler = pipeline.scheduler
    scale_model_input = type(scheduler).scale_model_input

    def recording_scale(sample, timestep):
        scaled = scale_model_input(scheduler, sample, timestep)
        # Of the two halves for guidance, which are the same.
        seen.append(scaled.chunk(2)[0].clone())
        return scaled

    scheduler.scale_model_input = recording_scale
    images = pipeline(
        prompt=prompt,
        input_id_images=photographs,
        negative_prompt=negative_prompt,
        # As the published UNet says; the tiny one names another size.
        height=1024,
        width=1024,
        num_images_per_prompt=request["num_outputs"],
        num_inference_steps=request["num_steps"],
        start_merge_step=start_merge_step,
        guidance_scale=request["guidance_scale"],
        callback=lambda step, timestep, latents: finished.append(latents.clone()),
        output_type="np",
    ).images
    assert len(seen) == len(finished) == request["num_steps"]
    return seen, finished[-1], (images * 255).round().astype("uint8")


# Every so many-th value of a row and row of a latent or a picture is kept, so that a run of 1024 pixels takes kilobytes.
# Both are odd: values of every place in the pattern of the decoder's upsampling are among them.
latents_stride, picture_stride = 3, 9
default_prompt = "A photo of a person img"
default_negative = (
    "nsfw, lowres, bad anatomy, bad hands, text, error, missing fingers, extra digit, fewer digits, cropped, worst "
    "quality, low quality, normal quality, jpeg artifacts, signature, watermark, username, blurry"
)
request = dict(
    prompt=default_prompt,
    style_name="Photographic (Default)",
    negative_prompt=default_negative,
    num_steps=5,
    style_strength_ratio=20,
    num_outputs=1,
    guidance_scale=5,
    seed=42,
)
words = " ".join(["word"] * 70)
# By name: how many photographs, and what differs from that request.
runs = {
    "default": (1, {}),
    "four-photographs-two-outputs": (
        4,
        dict(
            # Each "!" is a token to the second tokenizer, so that the class word has two places.
            prompt="Wow!! an oil painting of a grandmother!! img, smiling . . It's 5 o'clock",
            style_name="Fantasy art",
            negative_prompt="crème brûlée",
            num_outputs=2,
            num_steps=3,
            style_strength_ratio=15,
            guidance_scale=7.5,
            seed=2**31 - 1,
        ),
    ),
    "no-style-no-negative": (
        2,
        dict(prompt="img of a man", style_name="(No style)", negative_prompt="", num_steps=3, guidance_scale=1, seed=0),
    ),
    "switch-at-33": (1, dict(num_steps=4, style_strength_ratio=33.3, seed=43)),
    "switch-at-50": (3, dict(num_steps=4, style_strength_ratio=50, seed=43)),
    "identity-never-used": (1, dict(num_steps=2, style_strength_ratio=50, seed=44)),
    "single-step": (1, dict(num_steps=1, seed=45)),
    # The window ends between the four copies of the class word; in the last run it ends before them.
    "cut-class-word": (4, dict(prompt=f"{words} a man img", num_steps=2, seed=46, style_strength_ratio=15)),
    "lost-class-word": (2, dict(prompt=f"{words} {words} a man img", num_steps=2, seed=47, style_strength_ratio=15)),
}


def write_photographs():
    """Higher and wider ones, without the losses of JPEG, which two programs decode differently."""
    portrait = Image.open(fixtures.fixtures / "photos" / "eileen-collins.jpg").convert("RGB")
    wide, tall = portrait.crop((130, 20, 330, 180)), portrait.crop((150, 0, 290, 210))
    small = portrait.crop((60, 40, 420, 420)).resize((90, 95), Image.BICUBIC)
    made = [wide, tall, small, wide.transpose(Image.FLIP_LEFT_RIGHT)]
    paths = []
    for index, picture in enumerate(made):
        path = folder / "photomaker" / f"photograph-{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
        paths.append(path)
    return paths


def compare(pipeline, asked, photographs):
    """The run in float32, and how far it is from the run in float64."""
    seen, finished, pictures = run(pipeline, asked, photographs, torch.float32)
    _, exact, exact_pictures = run(pipeline, asked, photographs, torch.float64)
    return seen, finished, pictures, {
        "latentsRelL2": float((finished.double() - exact).norm() / exact.norm()),
        "meanPixelDifference": float(numpy.abs(pictures.astype(float) - exact_pictures).mean()),
    }


def write_runs(pipeline):
    case = folder / "photomaker"
    paths = write_photographs()
    # As the original reads them.
    loaded = [load_image(str(path)) for path in paths]
    written, tensors, distances = [], {}, {}
    for name, (photographs, changes) in runs.items():
        asked = {**request, **changes}
        seen, finished, pictures, distance = compare(pipeline, asked, loaded[:photographs])
        kept = {f"{name}.finished": finished}
        if name == "default":
            kept.update({f"{name}.{step}": latents for step, latents in enumerate(seen)})
        for key, latents in kept.items():
            tensors[key] = latents[:, :, ::latents_stride, ::latents_stride]
        files = [f"{name}-{index}.png" for index in range(len(pictures))]
        for file, picture in zip(files, pictures):
            Image.fromarray(picture[::picture_stride, ::picture_stride]).save(case / file)
        fields = ["input_image", "input_image2", "input_image3", "input_image4"]
        images = {field: path.name for field, path in zip(fields, paths[:photographs])}
        written.append({"name": name, "input": {**images, **asked}, "pictures": files})
        distances[name] = distance
        print(name, distance, finished.std().item(), ((pictures == 0) | (pictures == 255)).mean(), flush=True)
    save_tensors(case / "expected.safetensors", tensors)
    write_json(
        case / "case.json",
        {
            "kind": "pipelines",
            "model": "tencentarc/photomaker",
            "weights": ["../sdxl-weights", "../photomaker-weights"],
            "expected": "expected.safetensors",
            "latentsStride": latents_stride,
            "pictureStride": picture_stride,
            "runs": written,
            "tolerance": {"latentsRelL2": 1e-3, "meanPixelDifference": 1},
        },
    )
    packages = ["torch", "diffusers", "transformers", "peft", "PIL", "numpy"]
    write_provenance(case, packages, seeds={"networks": seed_of_networks}, againstFloat64=distances)


def write_styles(vocabulary):
    """Prompts in every style, and the tokens of the default ones as the pipeline encodes them without the photographs."""
    tokenizer, _ = tiny_sdxl.load_tokenizers(vocabulary)
    tokenizer.add_tokens(["img"], special_tokens=True)

    def tokens_of(text):
        return tokenizer(text, padding="max_length", max_length=77, truncation=True).input_ids

    positive, negative = "a {prompt} of a man img $& $1", "blurry, {prompt}"
    styled = {}
    for name in styles:
        prompt, negative_prompt = apply_style(name, positive, negative)
        default, negative_default = apply_style(name, default_prompt, default_negative)
        plain = tokenizer.encode(default, add_special_tokens=False)
        plain.remove(tokenizer.convert_tokens_to_ids("img"))
        styled[name] = {
            "prompt": prompt,
            "negative_prompt": negative_prompt,
            "default_ids": tokens_of(tokenizer.decode(plain, add_special_tokens=False)),
            "default_negative_ids": tokens_of(negative_default),
        }
    defaults = {"default_prompt": default_prompt, "default_negative_prompt": default_negative}
    recorded = {"prompt": positive, "negative_prompt": negative, **defaults, "styled": styled}
    path = fixtures.fixtures / "text" / "photomaker-styles.json"
    path.write_text(json.dumps(recorded, ensure_ascii=False) + "\n", encoding="utf-8")


# What is asked of the original's `predict`, beside the request above; photographs by their number.
outcomes = {
    "default": dict(photographs=[0]),
    "a gap between photographs": dict(photographs=[0, None, 2], style_name="Comic book", num_outputs=2),
    "no checker": dict(photographs=[0], style_name="(No style)", negative_prompt="", disable_safety_checker=True),
    "unsafe pictures": dict(photographs=[0], num_outputs=3, unsafe=[True, False, True]),
    "nothing safe": dict(photographs=[1], num_outputs=2, unsafe=[True, True]),
    "no trigger": dict(photographs=[0], prompt="a photo of a woman"),
    "a trigger in capitals": dict(photographs=[0], prompt="a woman IMG"),
    "two triggers": dict(photographs=[0], prompt="a woman img, img"),
    "a trigger inside of a word": dict(photographs=[0], prompt="an imgur of a woman img"),
    "a negative trigger": dict(photographs=[0], negative_prompt="bad img"),
    "a negative trigger inside of a word": dict(photographs=[0], negative_prompt="timg"),
    "no trigger, and a negative one": dict(photographs=[0], prompt="a woman", negative_prompt="img"),
    "two triggers, and a negative one": dict(photographs=[0], prompt="img img", negative_prompt="img"),
    "a negative trigger, and no picture": dict(photographs=["case.json"], negative_prompt="img"),
    "no picture": dict(photographs=[0, "case.json"]),
}


def original_predictor(vocabulary):
    """predict.py, whose pipeline and safety checker are replaced: what it prints, refuses and saves is its own."""
    cog = types.ModuleType("cog")
    vars(cog).update(BasePredictor=object, Input=lambda default=None, **_: default, Path=Path)
    sys.modules["cog"] = cog
    predictor = fixtures.source("PhotoMaker", "predict.py").Predictor()
    tokenizer, _ = tiny_sdxl.load_tokenizers(vocabulary)
    tokenizer.add_tokens(["img"], special_tokens=True)

    class Pipe:
        trigger_word = "img"

        def __call__(self, num_images_per_prompt, **_):
            return types.SimpleNamespace(images=[Image.new("RGB", (8, 8))] * num_images_per_prompt)

    predictor.pipe, predictor.device = Pipe(), "cpu"
    predictor.pipe.tokenizer = tokenizer
    return predictor


def write_outcomes(vocabulary, paths):
    """What the original prints, which error it ends with, and which files it saves: photomaker/outcomes.json."""
    predictor = original_predictor(vocabulary)
    here, written = Path.cwd(), []
    for name, changes in outcomes.items():
        asked = {**request, "num_steps": 1, "disable_safety_checker": False, **changes}
        photographs, unsafe = asked.pop("photographs"), asked.pop("unsafe", None)
        files = [paths[entry].name if isinstance(entry, int) else entry for entry in photographs]
        fields = ["input_image", "input_image2", "input_image3", "input_image4"]
        images = {field: file for field, file in zip(fields, files) if file}
        places = {field: folder / "photomaker" / file for field, file in images.items()}
        predictor.run_safety_checker = lambda images: (images, unsafe or [False] * len(images))
        printed, error, saved = io.StringIO(), None, []
        os.chdir(vocabulary)
        try:
            with contextlib.redirect_stdout(printed):
                arguments = {field: places.get(field) for field in fields}
                saved = [path.name for path in predictor.predict(**arguments, **asked)]
        except (ValueError, OSError) as thrown:
            error = str(thrown).replace(f"{folder}/photomaker/", "")
        finally:
            os.chdir(here)
        lines = printed.getvalue()
        for field, place in places.items():
            lines = lines.replace(str(place), field)
        outcome = {"lines": lines.splitlines(), "error": error, "saved": saved}
        written.append({"name": name, "input": {**images, **asked}, "unsafe": unsafe, **outcome})
        print(name, error, saved)
    write_json(folder / "photomaker" / "outcomes.json", written)


if __name__ == "__main__":
    repair_baddbmm()
    use_linspace_of_torch_2()
    with tempfile.TemporaryDirectory() as name:
        write_styles(Path(name))
        write_outcomes(Path(name), write_photographs())
        unet = tiny_sdxl.load_unet()
        write_adapter(unet)
        write_runs(make_pipeline(unet, Path(name)))
