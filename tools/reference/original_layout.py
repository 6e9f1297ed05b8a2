"""
Diffusers' and transformers' names back to those of the training code (CompVis/latent-diffusion,
Stability-AI/generative-models, lllyasviel/ControlNet), to make checkpoints in that layout without that code. What
comes out is proven by diffusers' own conversion, which has to give every tensor back under its name and with its value.
"""

import re


def inverted(name, rules):
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


resnet = [
    (r"\.norm1\.", ".in_layers.0."),
    (r"\.conv1\.", ".in_layers.2."),
    (r"\.time_emb_proj\.", ".emb_layers.1."),
    (r"\.norm2\.", ".out_layers.0."),
    (r"\.conv2\.", ".out_layers.3."),
    (r"\.conv_shortcut\.", ".skip_connection."),
]


def unet_name(name, per_level, attention_levels):
    """`per_level`: resnets of a level on the way down, plus one. `attention_levels`: on the way up, with attention."""

    def down(match):
        level, kind, layer = int(match[1]), match[2], int(match[3])
        return f"input_blocks.{1 + level * per_level + layer}.{0 if kind == 'resnets' else 1}."

    def up(match):
        level, kind, layer = int(match[1]), match[2], int(match[3])
        return f"output_blocks.{level * per_level + layer}.{0 if kind == 'resnets' else 1}."

    def upsampler(match):
        level = int(match[1])
        return f"output_blocks.{level * per_level + per_level - 1}.{2 if level in attention_levels else 1}.conv."

    block = re.match(r"(down_blocks|up_blocks|mid_block)\..*resnets\.", name)
    name = inverted(
        name,
        [
            (r"^time_embedding\.linear_1\.", "time_embed.0."),
            (r"^time_embedding\.linear_2\.", "time_embed.2."),
            (r"^add_embedding\.linear_1\.", "label_emb.0.0."),
            (r"^add_embedding\.linear_2\.", "label_emb.0.2."),
            (r"^conv_in\.", "input_blocks.0.0."),
            (r"^down_blocks\.(\d+)\.(resnets|attentions)\.(\d+)\.", down),
            (
                r"^down_blocks\.(\d+)\.downsamplers\.0\.conv\.",
                lambda match: f"input_blocks.{(int(match[1]) + 1) * per_level}.0.op.",
            ),
            (r"^mid_block\.resnets\.0\.", "middle_block.0."),
            (r"^mid_block\.attentions\.0\.", "middle_block.1."),
            (r"^mid_block\.resnets\.1\.", "middle_block.2."),
            (r"^up_blocks\.(\d+)\.(resnets|attentions)\.(\d+)\.", up),
            (r"^up_blocks\.(\d+)\.upsamplers\.0\.conv\.", upsampler),
            (r"^conv_norm_out\.", "out.0."),
            (r"^conv_out\.", "out.2."),
        ],
    )
    return inverted(name, resnet) if block else name


def controlnet_name(name, per_level, hints):
    """`hints`: convolutions of the condition, the first and the last included."""
    return unet_name(
        inverted(
            name,
            [
                (r"^controlnet_cond_embedding\.conv_in\.", "input_hint_block.0."),
                (
                    r"^controlnet_cond_embedding\.blocks\.(\d+)\.",
                    lambda match: f"input_hint_block.{2 * (int(match[1]) + 1)}.",
                ),
                (r"^controlnet_cond_embedding\.conv_out\.", f"input_hint_block.{2 * (hints - 1)}."),
                (r"^controlnet_down_blocks\.(\d+)\.", r"zero_convs.\1.0."),
                (r"^controlnet_mid_block\.", "middle_block_out.0."),
            ],
        ),
        per_level,
        (),
    )


def vae_tensors(tensors, levels):
    """The attention's matrices were 1x1 convolutions."""
    found = {}
    for name, tensor in tensors.items():
        attention = ".attentions." in name
        name = inverted(
            name,
            [
                (r"\.conv_norm_out\.", ".norm_out."),
                (r"\.mid_block\.resnets\.(\d)\.", lambda match: f".mid.block_{int(match[1]) + 1}."),
                (r"\.mid_block\.attentions\.0\.group_norm\.", ".mid.attn_1.norm."),
                (r"\.mid_block\.attentions\.0\.to_out\.0\.", ".mid.attn_1.proj_out."),
                (r"\.mid_block\.attentions\.0\.to_([qkv])\.", r".mid.attn_1.\1."),
                (r"^encoder\.down_blocks\.(\d)\.resnets\.(\d)\.", r"encoder.down.\1.block.\2."),
                (r"^encoder\.down_blocks\.(\d)\.downsamplers\.0\.conv\.", r"encoder.down.\1.downsample.conv."),
                (
                    r"^decoder\.up_blocks\.(\d)\.resnets\.(\d)\.",
                    lambda match: f"decoder.up.{levels - 1 - int(match[1])}.block.{match[2]}.",
                ),
                (
                    r"^decoder\.up_blocks\.(\d)\.upsamplers\.0\.conv\.",
                    lambda match: f"decoder.up.{levels - 1 - int(match[1])}.upsample.conv.",
                ),
                (r"\.conv_shortcut\.", ".nin_shortcut."),
            ],
        )
        found[name] = tensor[:, :, None, None] if attention and tensor.dim() == 2 else tensor
    return found


def open_clip_tensors(tensors):
    import torch

    found = {}
    for name, tensor in tensors.items():
        if name.endswith("position_ids") or re.search(r"\.[kv]_proj\.", name):
            continue
        fused = re.search(r"\.q_proj\.(weight|bias)$", name)
        if fused:
            tensor = torch.cat([tensors[name.replace("q_proj", f"{letter}_proj")] for letter in "qkv"])
        if name == "text_projection.weight":
            tensor = tensor.T.contiguous()
        name = inverted(
            name,
            [
                (r"^text_model\.embeddings\.token_embedding\.", "token_embedding."),
                (r"^text_model\.embeddings\.position_embedding\.weight", "positional_embedding"),
                (r"^text_model\.final_layer_norm\.", "ln_final."),
                (r"^text_projection\.weight", "text_projection"),
                (r"^text_model\.encoder\.layers\.", "transformer.resblocks."),
                (r"\.layer_norm([12])\.", r".ln_\1."),
                (r"\.mlp\.fc1\.", ".mlp.c_fc."),
                (r"\.mlp\.fc2\.", ".mlp.c_proj."),
                (r"\.self_attn\.q_proj\.", ".attn.in_proj_"),
                (r"\.self_attn\.", ".attn."),
            ],
        )
        found[name] = tensor
    return {**found, "logit_scale": torch.tensor(4.6052)}
