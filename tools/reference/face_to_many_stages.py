"""
Single stages of fofr/face-to-many: test/fixtures/face-to-many/. Which pixels torch takes when it resizes to the nearest
one; the sizes that ComfyUI's nodes make of pictures; the styles of the original's `predict.py`; the noise that stands for
nobody's face in cubiq/ComfyUI_InstantID.
"""

import torch

import face_to_many_pipeline as pipeline
import fixtures
from fixtures import write_json, write_provenance

folder = fixtures.fixtures / "face-to-many"


def places(length, count, mode):
    row = torch.arange(length, dtype=torch.float32).reshape(1, 1, 1, length)
    return torch.nn.functional.interpolate(row, size=(1, count), mode=mode).flatten().int().tolist()


def sizes(width, height):
    """Of the resized picture, and of what is left of it for the autoencoder."""
    resized = pipeline.essentials.ImageResize().execute(torch.zeros(1, height, width, 3), 1024, 1024, True, "nearest")[0]
    vae = pipeline.comfy.sd.VAE.__new__(pipeline.comfy.sd.VAE)
    vae.downscale_ratio = 8
    cropped = vae.vae_encode_crop_pixels(resized)
    return [[tensor.shape[2], tensor.shape[1]] for tensor in (resized, cropped)]


def stranger(embedding):
    """The lines of `apply_instantid`."""
    seed = int(torch.sum(embedding).item()) % 1000000007
    torch.manual_seed(seed)
    return seed, (0.35 * torch.rand_like(embedding)).tolist()


def prompts():
    original = pipeline.predictor.Predictor()
    return [
        {
            "style": style,
            "prompt": prompt,
            "negative_prompt": negative,
            "styled": [original.style_to_prompt(style, prompt), original.style_to_negative_prompt(style, negative)],
        }
        for style in ("3D", "Emoji", "Video game", "Pixels", "Clay", "Toy")
        for prompt, negative in [("a person", ""), ("", "hat")]
    ]


pairs = [(104, 266), (41, 97), (97, 41), (12, 24), (9, 9), (333, 1024), (1024, 787)]
embeddings = [[value * scale for value in (0.5, -1.25, 3.75, 0.125)] for scale in (1, -41, 977, 3e9)]
write_json(
    folder / "stages.json",
    {
        "places": [
            {"length": length, "count": count, "rule": rule, "places": places(length, count, rule)}
            for length, count in pairs
            for rule in ("nearest", "nearest-exact")
        ],
        "sizes": [
            {"size": size, "resized_and_cropped": sizes(*size)}
            for size in [(3024, 4032), (1000, 750), (700, 1000), (512, 512), (1, 1), (33, 50), (4096, 1025), (1023, 1024)]
        ],
        "strangers": [
            {"embedding": embedding, "seed": seed, "noise": noise}
            for embedding in embeddings
            for seed, noise in [stranger(torch.tensor(embedding))]
        ],
        "prompts": prompts(),
    },
    indent=None,
)
write_provenance(folder, ["torch"], sources={"comfyanonymous/ComfyUI": "ae77590b", "fofr/cog-face-to-many": "f168c5e"})
