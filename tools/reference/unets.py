"""
Small random UNets and ControlNets in the layouts of SDXL and others that a config.json can describe, image tokens in
InstantID's layout among them, computed by its own attention processor: test/fixtures/networks/<case>/.
"""

import torch
from diffusers import ControlNetModel, UNet2DConditionModel

from fixtures import randomize, repair_baddbmm, save_tensors, source
from networks import folder, model_config, sd15_unet, write_case

repair_baddbmm()

sdxl_unet = dict(
    sample_size=16,
    block_out_channels=(8, 12, 20),
    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    layers_per_block=2,
    transformer_layers_per_block=(2, 1, 2),
    attention_head_dim=(1, 2, 5),
    cross_attention_dim=20,
    use_linear_projection=True,
    addition_embed_type="text_time",
    addition_time_embed_dim=8,
    projection_class_embeddings_input_dim=12 + 6 * 8,
    norm_num_groups=4,
)
# What no published network has: the way up does not mirror the way down, levels differ in their layers, the middle has
# no attention, and attention computes in float32 where it is told to.
unlike_unet = dict(
    sample_size=16,
    block_out_channels=(12, 16, 20),
    down_block_types=("CrossAttnDownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"),
    up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    mid_block_type="UNetMidBlock2D",
    layers_per_block=(1, 3, 2),
    transformer_layers_per_block=(1, 1, 2),
    attention_head_dim=(3, 4, 5),
    cross_attention_dim=20,
    norm_num_groups=2,
    norm_eps=1e-4,
    upcast_attention=True,
)


def random(generator, *shape):
    return torch.randn(*shape, generator=generator)


def inputs_of(config, seed, batch, height, width, timestep, length=11):
    generator = torch.Generator().manual_seed(seed)
    inputs = {
        "sample": random(generator, batch, 4, height, width),
        "timestep": torch.tensor(timestep),
        "encoder_hidden_states": random(generator, batch, length, config["cross_attention_dim"]),
    }
    if config.get("addition_embed_type"):
        inputs["text_embeds"] = random(generator, batch, 12)
        sizes = torch.tensor([[1024.0, 768.0, 0.0, 64.0, 1152.0, 896.0], [512.0, 640.0, 16.0, 0.0, 1024.0, 960.0]])
        inputs["time_ids"] = sizes[:batch]
    return inputs


def added(inputs):
    return {name: inputs[name] for name in ("text_embeds", "time_ids") if name in inputs}


@torch.no_grad()
def run_unet(unet, inputs, residuals=(None, None), context=None):
    return unet(
        inputs["sample"],
        inputs["timestep"],
        inputs["encoder_hidden_states"] if context is None else context,
        added_cond_kwargs=added(inputs),
        down_block_additional_residuals=residuals[0],
        mid_block_additional_residual=residuals[1],
    ).sample


def make(network, config, seed):
    return randomize(network(**config), seed)


def unet(name, config, seed, batch, height, width, timestep, weights_from=None):
    model = make(UNet2DConditionModel, config, seed)
    inputs = inputs_of(config, seed + 1, batch, height, width, timestep)
    weights = None if weights_from else model.state_dict()
    expected = {"sample": run_unet(model, inputs)}
    write_case(name, "unet", model_config(model), inputs, expected, seed, weights, weights_from)
    return model


def controlnet_config(config, **changes):
    taken = {key: value for key, value in config.items() if key not in ("sample_size", "up_block_types")}
    return {**taken, "conditioning_embedding_out_channels": (4, 8, 12, 16), **changes}


@torch.no_grad()
def run_controlnet(model, inputs, condition, scale, context=None):
    result = model(
        inputs["sample"],
        inputs["timestep"],
        inputs["encoder_hidden_states"] if context is None else context,
        condition,
        scale,
        added_cond_kwargs=added(inputs),
    )
    return list(result.down_block_res_samples), result.mid_block_res_sample


def condition_for(inputs, seed, batch):
    height, width = inputs["sample"].shape[2:]
    return torch.rand(batch, 3, 8 * height, 8 * width, generator=torch.Generator().manual_seed(seed))


def controlnet(name, config, seed, batch, height, width, timestep, scale, condition_batch, weights_from=None):
    model = make(ControlNetModel, config, seed)
    inputs = inputs_of(config, seed + 1, batch, height, width, timestep)
    inputs["controlnet_cond"] = condition_for(inputs, seed + 2, condition_batch)
    down, middle = run_controlnet(model, inputs, inputs["controlnet_cond"], scale)
    expected = {f"down_block_res_samples.{index}": sample for index, sample in enumerate(down)}
    expected["mid_block_res_sample"] = middle
    options = {} if scale == 1 else {"conditioningScale": scale}
    weights = None if weights_from else model.state_dict()
    write_case(name, "controlnet", model_config(model), inputs, expected, seed, weights, weights_from, options)
    return model


def unet_with_image_tokens(name, unet_name, seed, tokens, scale, controlnets=()):
    """`controlnets`: their networks, the cases that hold their weights, their scales and whether image tokens are their context."""
    instant_id = source("InstantID", "ip_adapter/attention_processor.py")
    model = make(UNet2DConditionModel, sdxl_unet, 130)
    # As the pipeline's `set_ip_adapter` does it: one processor for each attention, in the order of the class.
    processors = {}
    for key in model.attn_processors:
        block = model.get_submodule(key.removesuffix(".processor"))
        width = block.to_q.weight.shape[0]
        processors[key] = (
            instant_id.AttnProcessor()
            if key.endswith("attn1.processor")
            else instant_id.IPAttnProcessor(width, sdxl_unet["cross_attention_dim"], scale=scale, num_tokens=tokens)
        )
    model.set_attn_processor(processors)
    layers = torch.nn.ModuleList(model.attn_processors.values())
    randomize(layers, seed)
    adapter = layers.state_dict()
    inputs = inputs_of(sdxl_unet, seed + 1, 2, 8, 12, 421.0)
    embeds = random(torch.Generator().manual_seed(seed + 2), 2, tokens, sdxl_unet["cross_attention_dim"])
    inputs["image_prompt_embeds"] = embeds
    down = middle = None
    entries = []
    for index, (network, case, weight, own) in enumerate(controlnets):
        condition = condition_for(inputs, seed + 3 + index, 1 + index)
        inputs[f"controlnet_cond.{index}"] = condition
        if own:
            inputs[f"controlnet_encoder_hidden_states.{index}"] = embeds
        residuals = run_controlnet(network, inputs, condition, weight, embeds if own else None)
        down = [a + b for a, b in zip(down, residuals[0])] if down else residuals[0]
        middle = residuals[1] if middle is None else middle + residuals[1]
        files = {"config": f"../{case}/config.json", "weights": [f"../{case}/weights.safetensors"]}
        entries.append({**files, "scale": weight})
    context = torch.cat([inputs["encoder_hidden_states"], embeds], dim=1)
    expected = {"sample": run_unet(model, inputs, (down, middle), context)}
    options = {"ipAdapter": {"weights": ["ip-adapter.safetensors"], "scale": scale}}
    if entries:
        options["controlnets"] = entries
    save_tensors(folder / name / "ip-adapter.safetensors", adapter)
    plain = make(UNet2DConditionModel, sdxl_unet, 130)
    write_case(name, "unet", model_config(plain), inputs, expected, seed, weights_from=unet_name, options=options)


if __name__ == "__main__":
    unet("unet-sdxl", sdxl_unet, 130, batch=2, height=8, width=12, timestep=321.0)
    # 13 and 7 are odd at every level; the timestep differs from row to row, as integers.
    unet("unet-odd-sizes", sd15_unet, 30, batch=2, height=13, width=7, timestep=[7, 803], weights_from="unet")
    unet("unet-unlike", unlike_unet, 140, batch=1, height=10, width=6, timestep=640.5)
    small = controlnet_config(sdxl_unet, controlnet_conditioning_channel_order="bgr")
    identity = controlnet("controlnet-sdxl", small, 150, 2, 12, 8, 77.0, 0.7, condition_batch=1)
    # The layout of the small SDXL ControlNets: no attention but for an empty transformer in the middle.
    empty = controlnet_config(
        sdxl_unet,
        down_block_types=("DownBlock2D",) * 3,
        transformer_layers_per_block=(0, 0, 0),
        layers_per_block=2,
    )
    other = controlnet("controlnet-small", empty, 160, 1, 10, 6, 900.0, 1, condition_batch=1)
    unet_with_image_tokens("unet-image-tokens", "unet-sdxl", 170, tokens=4, scale=0.8)
    unet_with_image_tokens(
        "unet-instant-id",
        "unet-sdxl",
        180,
        tokens=5,
        scale=0.35,
        controlnets=[
            (identity, "controlnet-sdxl", 0.8, True),
            (other, "controlnet-small", 0.45, False),
        ],
    )
