"""
Small random encoders with their reference outputs: test/fixtures/networks/<case>/, in the layout of networks.py. CLIP's
come from transformers 4.36.2, the autoencoder and the safety checker from diffusers 0.24.0, the resampler and the
identity encoder from the sources of InstantID and PhotoMaker (see `fixtures.source`).
"""

import json

import fixtures

fixtures.use_transformers_4_36()

import torch  # noqa: E402
from diffusers import AutoencoderKL  # noqa: E402
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from transformers import (  # noqa: E402
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPVisionConfig,
    CLIPVisionModel,
    CLIPVisionModelWithProjection,
)

from fixtures import randomize, save_tensors, write_json  # noqa: E402
from networks import folder, make_small, model_config, old_vae_name, rounded, write_case  # noqa: E402

text_sizes = dict(
    vocab_size=600,
    hidden_size=32,
    intermediate_size=96,
    num_hidden_layers=4,
    num_attention_heads=4,
    max_position_embeddings=77,
)
vision_sizes = dict(hidden_size=32, intermediate_size=80, num_hidden_layers=3, num_attention_heads=4)


def config_of(model, **changes):
    return {**json.loads(model.config.to_json_string(use_diff=False)), **changes}


def shrink(*tensors):
    """As make_small of networks.py, for what has no bias."""
    with torch.no_grad():
        for tensor in tensors:
            tensor.mul_(0.003)


def states_of(output):
    return {f"hidden_states.{index}": state for index, state in enumerate(output.hidden_states)}


def use_file(name, file):
    """Makes a case take its weights from another file than the one that write_case names."""
    path = folder / name / "case.json"
    write_json(path, {**json.loads(path.read_text()), "weights": [file]})


def text_ids(seed, batch, length):
    """Random ids below 599 and then 599 as the end and as padding; the first row has no end, as prompts cut off."""
    ids = torch.full((batch, length), 599, dtype=torch.int64)
    ids[:, 0] = 598
    generator = torch.Generator().manual_seed(seed)
    for row in range(batch):
        words = length - 1 if row == 0 else 5 + 2 * row
        ids[row, 1 : 1 + words] = torch.randint(0, 598, (words,), generator=generator)
    return ids


def run_text(model, ids, outputs):
    with torch.no_grad():
        output = model(ids, output_hidden_states=True)
    return {**states_of(output), **{name: output[name] for name in outputs}}


def clip_text():
    # As the published files say: 2 for the end token, which means the largest one.
    config = CLIPTextConfig(**text_sizes, bos_token_id=0, eos_token_id=2, projection_dim=32)
    model = randomize(CLIPTextModel(config), 110)
    ids = text_ids(111, 3, 77)
    expected = run_text(model, ids, ["last_hidden_state", "pooler_output"])
    inputs = {"input_ids": ids}
    write_case("clip-text-states", "clip-text", config_of(model), inputs, expected, 110, model.state_dict())
    # What Stable Diffusion XL asks for: the last layers of the file stay without a use.
    penultimate = {name: expected[name] for name in ["hidden_states.3", "hidden_states.0"]}
    name = "clip-text-early-states"
    write_case(name, "clip-text", config_of(model), inputs, penultimate, 110, weights_from="clip-text-states")

    # An end token that is not the largest, texts with several of it, and fewer tokens than positions.
    config = CLIPTextConfig(
        **text_sizes, hidden_act="gelu", eos_token_id=300, layer_norm_eps=1e-3, projection_dim=24
    )
    model = randomize(CLIPTextModel(config), 120)
    ids = text_ids(121, 3, 20)
    ids[1, [6, 9, 15]] = 300
    ids[2, 11] = 300
    expected = run_text(model, ids, ["last_hidden_state", "pooler_output"])
    name = "clip-text-end-token"
    write_case(name, "clip-text", config_of(model), {"input_ids": ids}, expected, 120, model.state_dict())

    # Like bigG: GELU, and a projection to another width.
    config = CLIPTextConfig(**text_sizes, hidden_act="gelu", bos_token_id=0, eos_token_id=2, projection_dim=24)
    model = rounded(randomize(CLIPTextModelWithProjection(config), 130), torch.float16)
    ids = text_ids(131, 2, 77)
    expected = run_text(model, ids, ["last_hidden_state", "text_embeds"])
    weights = {key: value.half() for key, value in model.state_dict().items()}
    name = "clip-text-projection"
    write_case(name, "clip-text", config_of(model), {"input_ids": ids}, expected, 130, weights)
    # The same in the layout of Stable Diffusion XL's single file, beside the first encoder.
    name = "clip-text-checkpoint"
    config = config_of(model, architectures=["CLIPTextModelWithProjection"])
    expected = {"hidden_states.3": expected["hidden_states.3"], "text_embeds": expected["text_embeds"]}
    checkpoint = {f"conditioner.embedders.1.model.{key}": value for key, value in open_clip_names(weights).items()}
    checkpoint["conditioner.embedders.0.transformer.text_model.final_layer_norm.bias"] = torch.zeros(2)
    write_case(name, "clip-text", config, {"input_ids": ids}, expected, 130, checkpoint)


def open_clip_names(weights):
    """The opposite of what huggingface/diffusers 0.24.0 does in `convert_open_clip_checkpoint`."""
    result = {
        "positional_embedding": weights["text_model.embeddings.position_embedding.weight"],
        "token_embedding.weight": weights["text_model.embeddings.token_embedding.weight"],
        "text_projection": weights["text_projection.weight"].T,
        "logit_scale": torch.tensor(4.6),
    }
    for kind in ("weight", "bias"):
        result[f"ln_final.{kind}"] = weights[f"text_model.final_layer_norm.{kind}"]
        for index in range(text_sizes["num_hidden_layers"]):
            layer, block = f"text_model.encoder.layers.{index}", f"transformer.resblocks.{index}"
            parts = [weights[f"{layer}.self_attn.{part}_proj.{kind}"] for part in "qkv"]
            result[f"{block}.attn.in_proj_{kind}"] = torch.cat(parts)
            result[f"{block}.attn.out_proj.{kind}"] = weights[f"{layer}.self_attn.out_proj.{kind}"]
            for new, old in {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}.items():
                result[f"{block}.{old}.{kind}"] = weights[f"{layer}.{new}.{kind}"]
    return result


def whole_clip():
    """One file of a whole CLIP model, as openai/clip-vit-large-patch14 publishes it, for each of its encoders."""
    text = dict(**text_sizes, projection_dim=24, eos_token_id=599)
    vision = dict(**vision_sizes, image_size=30, patch_size=6, projection_dim=24)
    model = randomize(CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=24)), 230)
    config = json.loads(model.config.to_json_string(use_diff=False))
    ids = text_ids(231, 2, 16)
    pixels = torch.randn(2, 3, 30, 30, generator=torch.Generator().manual_seed(232))
    with torch.no_grad():
        embeds = {"text_embeds": model.get_text_features(ids)}
        write_case("clip-whole-text", "clip-text", config, {"input_ids": ids}, embeds, 230, model.state_dict())
        embeds = {"image_embeds": model.get_image_features(pixels)}
    name = "clip-whole-vision"
    write_case(name, "clip-vision", config, {"pixel_values": pixels}, embeds, 230, weights_from="clip-whole-text")


def run_vision(model, pixels, outputs):
    with torch.no_grad():
        output = model(pixels, output_hidden_states=True)
    return {**states_of(output), **{name: output[name] for name in outputs}}


def clip_vision():
    config = CLIPVisionConfig(**vision_sizes, image_size=30, patch_size=6, projection_dim=24)
    model = randomize(CLIPVisionModelWithProjection(config), 140)
    pixels = torch.randn(2, 3, 30, 30, generator=torch.Generator().manual_seed(141))
    expected = run_vision(model, pixels, ["last_hidden_state", "image_embeds"])
    # Old files carry the numbers of the positions along.
    weights = {**model.state_dict(), "vision_model.embeddings.position_ids": torch.arange(26)[None]}
    inputs = {"pixel_values": pixels}
    write_case("clip-vision", "clip-vision", config_of(model), inputs, expected, 140, weights)

    sizes = {**vision_sizes, "num_attention_heads": 2, "hidden_act": "gelu", "layer_norm_eps": 1e-2}
    model = randomize(CLIPVisionModel(CLIPVisionConfig(**sizes, image_size=28, patch_size=7)), 150)
    pixels = torch.randn(3, 3, 28, 28, generator=torch.Generator().manual_seed(151))
    expected = run_vision(model, pixels, ["last_hidden_state", "pooler_output"])
    inputs = {"pixel_values": pixels}
    write_case("clip-vision-pooled", "clip-vision", config_of(model), inputs, expected, 150, model.state_dict())


def vae_encoder():
    model = AutoencoderKL.from_config(json.loads((folder / "vae-decoder" / "config.json").read_text()))
    model.load_state_dict(load_file(folder / "vae-decoder" / "weights.safetensors"))
    sample = torch.randn(2, 3, 48, 80, generator=torch.Generator().manual_seed(161))
    expected = {"moments": moments(model, sample)}
    config = model_config(model)
    write_case("vae-encoder", "vae-encoder", config, {"sample": sample}, expected, 80, weights_from="vae-decoder")

    # Sides that two do not divide, the names of old files, and activations so small that epsilon decides.
    model = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(8, 16, 24),
        layers_per_block=1,
        norm_num_groups=4,
        latent_channels=3,
    )
    randomize(model, 170)
    make_small(model.encoder.conv_in, model.encoder.down_blocks[0].resnets[0].conv2)
    sample = torch.randn(1, 3, 37, 54, generator=torch.Generator().manual_seed(171))
    expected = {"moments": moments(model, sample)}
    weights = {old_vae_name(key): value for key, value in model.state_dict().items()}
    name = "vae-encoder-old-names"
    write_case(name, "vae-encoder", model_config(model), {"sample": sample}, expected, 170, weights)


def moments(model, sample):
    with torch.no_grad():
        return model.encode(sample).latent_dist.parameters


def tiled_decode():
    """A decode in tiles of the autoencoder of the case `vae-decoder`: test/fixtures/tiled-decode/."""
    config = json.loads((folder / "vae-decoder" / "config.json").read_text())
    model = AutoencoderKL.from_config({**config, "sample_size": 64})  # tiles of 8 latents
    model.load_state_dict(load_file(folder / "vae-decoder" / "weights.safetensors"))
    latents = torch.randn(2, 4, 13, 21, generator=torch.Generator().manual_seed(181))
    model.enable_tiling()
    with torch.no_grad():
        sample = model.decode(latents).sample
    path = fixtures.fixtures / "tiled-decode"
    save_tensors(path / "tiles.safetensors", {"latents": latents, "sample": sample})
    fixtures.write_provenance(path, ["torch", "diffusers"], seed=181, weights="networks/vae-decoder")


def resampler():
    Resampler = fixtures.source("InstantID", "ip_adapter/resampler.py").Resampler
    arguments = dict(
        dim=32, depth=3, dim_head=8, heads=5, num_queries=6, embedding_dim=20, output_dim=28, ff_mult=3
    )
    model = randomize(Resampler(**arguments), 190)
    make_small(model.proj_in, model.proj_out)
    shrink(model.latents)
    embeds = torch.randn(2, 1, 20, generator=torch.Generator().manual_seed(191))
    # As the pipeline does for guidance: the unconditional tokens are those of zeros.
    embeds[0] = 0
    with torch.no_grad():
        expected = {"tokens": model(embeds)}
    name = "resampler"
    weights = {f"image_proj.{key}": value for key, value in model.state_dict().items()}
    # The published file holds the layers of the UNet too.
    weights["ip_adapter.1.to_k_ip.weight"] = torch.zeros(4, 28)
    write_case(name, "resampler", arguments, {"embeds": embeds}, expected, 190, weights)

    embeds = torch.randn(3, 4, 20, generator=torch.Generator().manual_seed(192))
    with torch.no_grad():
        expected = {"tokens": model(embeds)}
    write_case("resampler-alone", "resampler", arguments, {"embeds": embeds}, expected, 190, model.state_dict())
    # As published: a map of maps, saved by PyTorch.
    name = "resampler-bin"
    write_case(name, "resampler", arguments, {"embeds": embeds}, expected, 190, weights_from="resampler-alone")
    adapter = {"1.to_k_ip.weight": torch.zeros(4, 28)}
    torch.save({"image_proj": model.state_dict(), "ip_adapter": adapter}, folder / name / "ip-adapter.bin")
    use_file(name, "ip-adapter.bin")


def photomaker():
    module = fixtures.source("PhotoMaker", "photomaker/model.py")
    module.VISION_CONFIG_DICT = dict(
        **vision_sizes, image_size=30, patch_size=6, projection_dim=12
    )
    model = module.PhotoMakerIDEncoder()
    # The reference spells the full sizes out.
    model.visual_projection_2 = torch.nn.Linear(32, 20, bias=False)
    model.fuse_module = module.FuseModule(32)
    randomize(model, 200)
    make_small(model.fuse_module.mlp1.fc2, model.fuse_module.mlp2.fc2)
    shrink(model.visual_projection.weight, model.visual_projection_2.weight)
    weights = {key: value for key, value in model.state_dict().items() if not key.endswith("position_ids")}

    def case(name, photos, words, weights=None):
        generator = torch.Generator().manual_seed(201 + photos)
        inputs = {
            "id_pixel_values": torch.randn(1, photos, 3, 30, 30, generator=generator),
            "prompt_embeds": 0.003 * torch.randn(1, 77, 32, generator=generator),
            "class_tokens_mask": torch.zeros(1, 77, dtype=torch.int64),
        }
        inputs["class_tokens_mask"][0, words] = 1
        with torch.no_grad():
            # The reference changes the embeddings it is given.
            arguments = inputs["id_pixel_values"], inputs["prompt_embeds"].clone(), inputs["class_tokens_mask"].bool()
            expected = {"prompt_embeds": model(*arguments)}
        shared = {"weights": weights} if weights else {"weights_from": "photomaker-id"}
        write_case(name, "photomaker-id", config_of(model), inputs, expected, 200, **shared)

    published = {f"id_encoder.{key}": value for key, value in weights.items()}
    published["lora_weights.unet.down_blocks.1.attentions.0.proj_in.lora.down.weight"] = torch.zeros(2, 4)
    case("photomaker-id", 3, [5, 6, 7], published)
    # A prompt so long that only two of four copies are in the window; then one of which none is.
    case("photomaker-id-cut", 4, [75, 76])
    case("photomaker-id-cut-off", 1, [])

    # As published: half floats in a map of maps, saved by PyTorch.
    rounded(model, torch.float16)
    case("photomaker-id-bin", 2, [40, 41])
    half = {key: model.state_dict()[key].half() for key in weights}
    lora = {"unet.down_blocks.1.attentions.0.proj_in.lora.down.weight": torch.zeros(2, 4)}
    torch.save({"id_encoder": half, "lora_weights": lora}, folder / "photomaker-id-bin" / "photomaker-v1.bin")
    use_file("photomaker-id-bin", "photomaker-v1.bin")


def safety_checker():
    vision = dict(**vision_sizes, image_size=30, patch_size=6)
    model = StableDiffusionSafetyChecker(CLIPConfig(vision_config=vision, projection_dim=16))
    randomize(model, 210)
    generator = torch.Generator().manual_seed(211)
    with torch.no_grad():
        model.concept_embeds_weights.copy_(0.58 + 0.1 * torch.rand(17, generator=generator))
        model.special_care_embeds_weights.copy_(0.25 + 0.1 * torch.rand(3, generator=generator))
    pixels = torch.randn(5, 3, 30, 30, generator=generator)
    reports = []
    module = __import__(StableDiffusionSafetyChecker.__module__, fromlist=["np"])
    images = [torch.ones(1) for _ in range(len(pixels))]

    # The scores are local to the reference's function; all of them pass through `round`.
    def recording_round(value, digits):
        result = round(value, digits)
        reports.append(result)
        return result

    module.round = recording_round
    _, flags = model(pixels, images)
    scores = torch.tensor(reports, dtype=torch.float64).reshape(len(pixels), 20)[:, 3:]
    special = torch.tensor(reports).reshape(len(pixels), 20)[:, :3]
    # Both verdicts occur, and thresholds with and without the adjustment.
    assert len(set(flags)) == len(set((special > 0).any(1).tolist())) == 2, (flags, special)
    expected = {"has_nsfw_concepts": torch.tensor(flags).long(), "scores": scores.float()}
    config = json.loads(model.config.to_json_string(use_diff=False))
    weights = {key: value for key, value in model.state_dict().items() if not key.endswith("position_ids")}
    write_case("safety-checker", "safety-checker", config, {"clip_input": pixels}, expected, 210, weights)


if __name__ == "__main__":
    torch.set_num_threads(1)
    clip_text()
    clip_vision()
    whole_clip()
    vae_encoder()
    tiled_decode()
    resampler()
    photomaker()
    safety_checker()
