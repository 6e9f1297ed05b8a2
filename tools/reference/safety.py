"""
What the safety checker of the pipelines sees and decides: test/fixtures/safety/. The checker and its feature extractor are
those of `controlnet_pipeline.py`, which has to run first; its thresholds let some of these pictures pass.
"""

import fixtures

fixtures.use_diffusers_0_15()

import numpy  # noqa: E402
import torch  # noqa: E402
from diffusers import StableDiffusionControlNetPipeline  # noqa: E402
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker  # noqa: E402
from PIL import Image  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from transformers import CLIPConfig, CLIPImageProcessor  # noqa: E402

torch.set_num_threads(1)
folder = fixtures.fixtures / "safety"
base = fixtures.fixtures / "pipelines" / "controlnet-weights" / "runwayml" / "stable-diffusion-v1-5"
photo = Image.open(fixtures.fixtures / "photos" / "eileen-collins.jpg").convert("RGB")
random = numpy.random.default_rng(31)

pictures = {
    "face": photo.crop((150, 40, 270, 133)),
    "tall": photo.crop((300, 0, 333, 97)),
    "smaller": photo.crop((20, 200, 47, 221)),
    "dark": photo.crop((400, 300, 464, 348)).point(lambda value: value // 4),
    "noise": Image.fromarray(random.integers(0, 256, (40, 56, 3), dtype=numpy.uint8)),
    "black": Image.new("RGB", (64, 64)),
}
folder.mkdir(parents=True, exist_ok=True)
for name, picture in pictures.items():
    picture.save(folder / f"{name}.png")

# As the files of Stable Diffusion 1.5 write it, with sizes that leave something to crop.
older = dict(size=30, crop_size=28)
own = CLIPImageProcessor.from_pretrained(base / "feature_extractor")
full = CLIPImageProcessor(size=224, crop_size=224)
small = CLIPImageProcessor(**older)
pixels = {name: small(picture, return_tensors="pt").pixel_values for name, picture in pictures.items()}
# Every seventh pixel of the published size is enough.
pixels["photograph"] = full(photo.crop((0, 0, 512, 320)), return_tensors="pt").pixel_values[:, :, ::7, ::7]
fixtures.save_tensors(folder / "pixels.safetensors", pixels)

checker = StableDiffusionSafetyChecker(CLIPConfig.from_json_file(base / "safety_checker" / "config.json"))
checker.load_state_dict(load_file(base / "safety_checker" / "model.safetensors"))
checker.eval()
pipeline = type("Pipeline", (), {"numpy_to_pil": staticmethod(StableDiffusionControlNetPipeline.numpy_to_pil)})()
pipeline.safety_checker, pipeline.feature_extractor = checker, own
flags = {}
for name, picture in pictures.items():
    image = numpy.asarray(picture, dtype=numpy.float32)[None] / 255
    _, unsafe = StableDiffusionControlNetPipeline.run_safety_checker(pipeline, image, "cpu", torch.float32)
    flags[name] = bool(unsafe[0])
assert len(set(flags.values())) == 2, flags
fixtures.write_json(folder / "case.json", {"preprocessor": older, "unsafe": flags})
fixtures.write_provenance(folder, ["torch", "diffusers", "transformers", "PIL", "numpy"], seeds={"pictures": 31})
print(flags)
