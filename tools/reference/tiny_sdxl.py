"""
One tiny random Stable Diffusion XL, laid out as its repositories on the hub are: test/fixtures/pipelines/sdxl-weights/.
The base with both text encoders and both halves of the autoencoder, ControlNets of the published kinds, and InstantID's
face tokens. Stored as float16; computed in float32 from what is stored. The scripts of the SDXL models import it: they
choose their releases of diffusers and transformers first (`fixtures.use_diffusers_0_25()`, …), because nothing of these
is imported here before a function asks for it.
"""

import json
from pathlib import Path

import fixtures
from fixtures import randomize, save_tensors, source, write_json, write_provenance

weights = fixtures.fixtures / "pipelines" / "sdxl-weights"
base = weights / "stabilityai" / "stable-diffusion-xl-base-1.0"
instant_id = weights / "InstantX" / "InstantID"
identity_net = instant_id / "ControlNetModel"
ip_adapter = instant_id / "ip-adapter.bin"
controlnet_pose = weights / "thibaud" / "controlnet-openpose-sdxl-1.0"
controlnet_canny = weights / "diffusers" / "controlnet-canny-sdxl-1.0"
controlnet_zoe = weights / "diffusers" / "controlnet-zoe-depth-sdxl-1.0"
controlnet_depth_small = weights / "diffusers" / "controlnet-depth-sdxl-1.0-small"
# Of Stable Diffusion 1.5, as in the published repositories: `safety_checker` and `feature_extractor`.
safety = weights.parent / "controlnet-weights" / "runwayml" / "stable-diffusion-v1-5"

seed_of_networks = 600

first_width, second_width, pooled_width = 8, 12, 10
context_width = first_width + second_width
vae_scaling_factor = 0.13025

# Half of what the published networks have on each level, but as unlike from level to level.
sizes = dict(
    block_out_channels=(4, 8, 12),
    layers_per_block=2,
    transformer_layers_per_block=(1, 2, 3),
    attention_head_dim=(1, 2, 3),
    cross_attention_dim=context_width,
    use_linear_projection=True,
    addition_embed_type="text_time",
    addition_time_embed_dim=6,
    projection_class_embeddings_input_dim=pooled_width + 6 * 6,
    norm_num_groups=2,
    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
)
unet_config = dict(sample_size=16, up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"), **sizes)
vae_config = dict(
    down_block_types=("DownEncoderBlock2D",) * 4,
    up_block_types=("UpDecoderBlock2D",) * 4,
    block_out_channels=(4, 4, 8, 12),
    layers_per_block=1,
    norm_num_groups=2,
    sample_size=128,
    scaling_factor=vae_scaling_factor,
    force_upcast=True,
)
controlnet_config = dict(**sizes, conditioning_embedding_out_channels=(3, 4, 6, 8))
# The published layout without attention: an empty transformer in the middle is all there is.
small_config = {
    **controlnet_config,
    "down_block_types": ("DownBlock2D",) * 3,
    "transformer_layers_per_block": (0, 0, 0),
}
# Fewer layers than IdentityNet, to take less space; a ControlNet's transformers need not be those of the UNet.
other_config = {**controlnet_config, "transformer_layers_per_block": (1, 1, 2)}
# The number of 64 a head is in no file, so it stays.
resampler_config = dict(
    dim=12, depth=2, dim_head=64, heads=1, num_queries=16, embedding_dim=512, output_dim=context_width, ff_mult=2
)
# scheduler/scheduler_config.json of the published base.
scheduler_config = {
    "_class_name": "EulerDiscreteScheduler",
    "_diffusers_version": "0.19.0.dev0",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "clip_sample": False,
    "interpolation_type": "linear",
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "sample_max_value": 1.0,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "timestep_spacing": "leading",
    "trained_betas": None,
    "use_karras_sigmas": False,
}


def text_config(width, layers, heads, projection, activation):
    from transformers import CLIPTextConfig

    return CLIPTextConfig(
        vocab_size=49408,
        hidden_size=width,
        intermediate_size=2 * width + 4,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        max_position_embeddings=77,
        projection_dim=projection,
        hidden_act=activation,
        # As the published files say: 2 for the end token, which means the largest one.
        bos_token_id=0,
        eos_token_id=2,
        pad_token_id=1,
    )


def fresh_networks():
    """By the place of each: a network without weights, and the seed of its weights."""
    from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    made = [
        (base / "text_encoder", lambda: CLIPTextModel(text_config(first_width, 3, 2, first_width, "quick_gelu"))),
        (
            base / "text_encoder_2",
            lambda: CLIPTextModelWithProjection(text_config(second_width, 4, 3, pooled_width, "gelu")),
        ),
        (base / "unet", lambda: UNet2DConditionModel(**unet_config)),
        (base / "vae", lambda: AutoencoderKL(**vae_config)),
        (identity_net, lambda: ControlNetModel(**controlnet_config)),
        (controlnet_pose, lambda: ControlNetModel(**other_config)),
        (controlnet_canny, lambda: ControlNetModel(**other_config)),
        (controlnet_zoe, lambda: ControlNetModel(**other_config)),
        (controlnet_depth_small, lambda: ControlNetModel(**small_config)),
    ]
    return {folder: (make, seed_of_networks + index) for index, (folder, make) in enumerate(made)}


def load(folder):
    """A network of one of the folders above, in float32."""
    import torch
    from safetensors.torch import load_file

    network = fresh_networks()[folder][0]()
    file = weight_file(folder)
    state = torch.load(file) if file.suffix == ".bin" else load_file(file)
    missing, unexpected = network.load_state_dict(state, strict=False)
    # Numbers from 0 to 76, which not every release of transformers keeps.
    assert not unexpected and set(missing) <= {"text_model.embeddings.position_ids"}
    return network.float().eval()


def load_unet():
    return load(base / "unet")


def load_vae():
    return load(base / "vae")


def load_text_encoder():
    return load(base / "text_encoder")


def load_text_encoder_2():
    return load(base / "text_encoder_2")


def load_tokenizers(folder):
    """
    The base's two, which differ in what they fill a text up with.

    @param folder a temporary one, for the vocabulary
    """
    from tokenizer import load_tokenizer

    # "!", whose token is 0. As in the published folder it is special from the beginning, and every "!" of a text is it.
    first, second = load_tokenizer(Path(folder)), load_tokenizer(Path(folder), pad_token="!")
    assert (first.pad_token_id, second.pad_token_id) == (49407, 0)
    assert second.encode("!!", add_special_tokens=False) == [0, 0]
    return first, second


def load_scheduler():
    from diffusers import EulerDiscreteScheduler

    return EulerDiscreteScheduler.from_config(scheduler_config)


def weight_file(folder):
    if folder.name.startswith("text_encoder"):
        return folder / "model.safetensors"
    # Of the one for poses, the hub has PyTorch's file under the name that diffusers looks for.
    return folder / f"diffusion_pytorch_model.{'bin' if folder == controlnet_pose else 'safetensors'}"


def repeat_rows(embedding, period=509):
    """
    Rows of a vocabulary that come again after a prime number of them, so that the repository's compression finds them;
    a neighbour of a token has another row.
    """
    import torch

    with torch.no_grad():
        embedding.weight.copy_(embedding.weight[torch.arange(embedding.num_embeddings) % period])


def write_network(folder, network):
    import diffusers
    import torch

    if folder.name.startswith("text_encoder"):
        repeat_rows(network.text_model.embeddings.token_embedding)
        config = {
            "architectures": [type(network).__name__],
            **json.loads(network.config.to_json_string(use_diff=True)),
            "eos_token_id": 2,
        }
    else:
        values = {key: value for key, value in network.config.items() if not key.startswith("_")}
        config = {"_class_name": type(network).__name__, "_diffusers_version": diffusers.__version__, **values}
    state = {name: tensor for name, tensor in network.half().state_dict().items() if tensor.is_floating_point()}
    write_json(folder / "config.json", config)
    file = weight_file(folder)
    if file.suffix == ".bin":
        torch.save(state, file)
    else:
        save_tensors(file, state)


def write_ip_adapter(seed):
    """The resampler and, for each attention in the order of the class, keys and values for the face tokens."""
    import torch

    resampler = randomize(source("InstantID", "ip_adapter/resampler.py").Resampler(**resampler_config), seed)
    with torch.no_grad():
        resampler.latents.copy_(torch.randn(resampler.latents.shape, generator=torch.Generator().manual_seed(seed)))
    processors = source("InstantID", "ip_adapter/attention_processor.py")
    unet = fresh_networks()[base / "unet"][0]()
    layers = torch.nn.ModuleList()
    for key in unet.attn_processors:
        width = unet.get_submodule(key.removesuffix(".processor")).to_q.weight.shape[0]
        layers.append(
            processors.AttnProcessor()
            if key.endswith("attn1.processor")
            else processors.IPAttnProcessor(width, context_width, num_tokens=resampler_config["num_queries"])
        )
    randomize(layers, seed + 1)
    ip_adapter.parent.mkdir(parents=True, exist_ok=True)
    torch.save(
        {"image_proj": resampler.half().state_dict(), "ip_adapter": layers.half().state_dict()},
        ip_adapter,
    )


if __name__ == "__main__":
    fixtures.use_diffusers_0_25()
    fixtures.use_transformers_4_36()

    for place, (make, seed) in fresh_networks().items():
        network = randomize(make(), seed)
        print(place.relative_to(weights), sum(parameter.numel() for parameter in network.parameters()))
        write_network(place, network)
    write_ip_adapter(seed_of_networks + 50)
    write_json(base / "scheduler" / "scheduler_config.json", scheduler_config)
    write_provenance(weights, ["torch", "diffusers", "transformers"], seeds={"networks": seed_of_networks})
