"""
Prompts as Stable Diffusion XL's pipeline encodes them, and what its UNet predicts of several pictures with guidance:
test/fixtures/pipelines/sdxl-prompts/, on the tiny networks of tiny_sdxl.py, in float32 on a CPU.
"""

import logging
import tempfile

import fixtures

fixtures.use_diffusers_0_25()
fixtures.use_transformers_4_36()

import torch  # noqa: E402
from diffusers import StableDiffusionXLPipeline  # noqa: E402
from diffusers.utils import logging as diffusers_logging  # noqa: E402

import tiny_sdxl  # noqa: E402
from fixtures import repair_baddbmm, save_tensors, write_json, write_provenance  # noqa: E402

torch.set_num_threads(1)
repair_baddbmm()

folder = fixtures.fixtures / "pipelines" / "sdxl-prompts"
prompts = [
    "",
    "A photo of a person",
    "Crème-brûlée, 日本 style (masterpiece:1.3), [[film]], 8k!! it's <|endoftext|> after",
    ", ".join(f"{word} of number {index}" for index, word in enumerate(["rain", "LIGHT", "glass"] * 8)),
    # Too long for the second tokenizer alone, to which each "!" is a token.
    "wow!!! " * 30,
]
size = dict(height=64, width=96)
seed = 650


class Notices(logging.Handler):
    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


@torch.no_grad()
def encode(pipeline, prompt, negative):
    return pipeline.encode_prompt(prompt, device="cpu", negative_prompt=negative)


if __name__ == "__main__":
    notices = Notices()
    diffusers_logging.get_logger("diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl").addHandler(
        notices
    )
    with tempfile.TemporaryDirectory() as name:
        tokenizer, tokenizer_2 = tiny_sdxl.load_tokenizers(name)
        pipeline = StableDiffusionXLPipeline(
            vae=tiny_sdxl.load_vae(),
            text_encoder=tiny_sdxl.load_text_encoder(),
            text_encoder_2=tiny_sdxl.load_text_encoder_2(),
            tokenizer=tokenizer,
            tokenizer_2=tokenizer_2,
            unet=tiny_sdxl.load_unet(),
            scheduler=tiny_sdxl.load_scheduler(),
            add_watermarker=False,
        )
    encoded = [encode(pipeline, prompt, prompt) for prompt in prompts]
    # A prompt as the positive one and as the negative one is the same.
    for positive, negative, pooled, negative_pooled in encoded:
        assert torch.equal(positive, negative) and torch.equal(pooled, negative_pooled)
    tensors = {
        "states": torch.cat([states for states, _, _, _ in encoded]),
        "pooled": torch.cat([pooled for _, _, pooled, _ in encoded]),
    }
    with torch.no_grad():
        tensors["last_states"] = torch.cat(
            [
                encoder(
                    tokenizer(prompts, padding="max_length", max_length=77, truncation=True, return_tensors="pt").input_ids,
                    output_hidden_states=True,
                ).hidden_states[-1]
                for tokenizer, encoder in (
                    (pipeline.tokenizer, pipeline.text_encoder),
                    (pipeline.tokenizer_2, pipeline.text_encoder_2),
                )
            ],
            dim=-1,
        )
    # Two pictures after a negative prompt and a prompt, as the pipeline puts them into a batch.
    tensors["sample"] = torch.randn(2, 4, 8, 12, generator=torch.Generator().manual_seed(seed))
    sizes = (size["height"], size["width"])
    ids = pipeline._get_add_time_ids(
        sizes, (0, 0), sizes, torch.float32, text_encoder_projection_dim=tiny_sdxl.pooled_width
    )
    rows = [2, 2, 1, 1]
    timestep = 481
    with torch.no_grad():
        tensors["prediction"] = pipeline.unet(
            torch.cat([tensors["sample"]] * 2),
            timestep,
            tensors["states"][rows],
            added_cond_kwargs={"text_embeds": tensors["pooled"][rows], "time_ids": ids.repeat(4, 1)},
        ).sample
    save_tensors(folder / "expected.safetensors", tensors)
    write_json(
        folder / "case.json",
        {
            "weights": "../sdxl-weights",
            "prompts": prompts,
            "notices": list(dict.fromkeys(notices.lines)),
            **size,
            "timeIds": ids[0].tolist(),
            "timestep": timestep,
            "conditions": [2, 1],
        },
    )
    write_provenance(folder, ["torch", "diffusers", "transformers"], seeds={"sample": seed})
    print({name: (list(tensor.shape), tensor.std().item()) for name, tensor in tensors.items()}, notices.lines)
