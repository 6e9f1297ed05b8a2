"""
MiDaS' DPT-hybrid as small random networks and as names and shapes of the full-size file, and what controlnet_aux 0.0.3
makes of its depth: test/fixtures/networks/dpt-hybrid*, headers/dpt-hybrid-midas-501f0c75.json, annotators/midas.
"""

import json
import sys
import types
from functools import partial

import fixtures

fixtures.use_controlnet_aux("0.0.3")

import torch  # noqa: E402
from controlnet_aux.midas.midas import blocks, dpt_depth, vit  # noqa: E402
from timm.models.layers import StdConv2dSame  # noqa: E402
from timm.models.layers.norm_act import GroupNormAct  # noqa: E402
from timm.models.resnetv2 import ResNetV2  # noqa: E402
from timm.models.vision_transformer import VisionTransformer  # noqa: E402
from timm.models.vision_transformer_hybrid import HybridEmbed  # noqa: E402

from fixtures import randomize, save_tensors, write_json, write_provenance  # noqa: E402

torch.set_num_threads(1)
packages = ["torch", "timm", "safetensors"]

# Three sizes of stages, none of them equal, as deep as makes every kind of block appear; taps at other layers than 9 and 12.
small = dict(
    channels=(32, 48, 80), blocks=(2, 3, 2), stem=16, groups=4, width=40, heads=5, layers=5, mlp_ratio=3, grid=4,
    levels=(32, 48, 28, 36), fusion=24,
)  # fmt: skip


def small_encoder(backbone, features, use_pretrained, hooks, use_readout, **_):
    """`_make_encoder` of blocks.py with other widths: the reference has none of them as an argument."""
    sizes = small
    convolution = partial(StdConv2dSame, eps=1e-8)
    residual = ResNetV2(
        layers=sizes["blocks"], channels=sizes["channels"], stem_chs=sizes["stem"], num_classes=0, global_pool="",
        preact=False, stem_type="same", conv_layer=convolution,
        norm_layer=partial(GroupNormAct, num_groups=sizes["groups"]),
    )  # fmt: skip
    model = VisionTransformer(
        img_size=16 * sizes["grid"], patch_size=1, num_classes=7, embed_dim=sizes["width"], depth=sizes["layers"],
        num_heads=sizes["heads"], mlp_ratio=sizes["mlp_ratio"], embed_layer=partial(HybridEmbed, backbone=residual),
    )  # fmt: skip
    taps = [0, 1, sizes["layers"] * 3 // 4 - 1, sizes["layers"] - 1]
    pretrained = vit._make_vit_b_rn50_backbone(
        model, features=list(sizes["levels"]), hooks=taps, vit_features=sizes["width"], use_readout=use_readout
    )
    return pretrained, blocks._make_scratch(list(sizes["levels"]), features)


def small_network(seed):
    original = dpt_depth._make_encoder
    dpt_depth._make_encoder = small_encoder
    try:
        network = dpt_depth.DPTDepthModel(features=small["fusion"])
    finally:
        dpt_depth._make_encoder = original
    return with_visible_depth(with_small_values(randomize(network, seed)))


def with_small_values(network):
    """Makes three values that norms see so small that their epsilons decide the result (see make_small of networks.py)."""
    model = network.pretrained.model
    residual = model.patch_embed.backbone
    first = residual.stages[0].blocks[0].norm1
    with torch.no_grad():
        residual.stem.conv.weight.mul_(0.01)
        for tensor in (first.weight, first.bias, model.patch_embed.proj.weight, model.patch_embed.proj.bias):
            tensor.mul_(0.003)
        for tensor in (model.cls_token, model.pos_embed):
            tensor.mul_(0.01)
    return network


def with_visible_depth(network):
    """Two ReLUs end the network; without this the second one would leave zeros alone."""
    with torch.no_grad():
        network.scratch.output_conv[2].bias.add_(0.5)
        network.scratch.output_conv[4].weight.abs_()
    return network


def run(network, pixels):
    with torch.no_grad():
        return network(pixels)


def against_float64(network, pixels, expected):
    exact = run(network.double(), pixels.double())
    network.float()
    return float((expected - exact).norm() / exact.norm())


def network_case(name, seed, batch, height, width, weights_from=None):
    network = small_network(300).to(torch.float16).to(torch.float32)
    pixels = torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    expected = run(network, pixels)
    case = fixtures.fixtures / "networks" / name
    if weights_from is None:
        weights = {key: value.half() for key, value in network.state_dict().items()}
        save_tensors(case / "weights.safetensors", weights)
    write_json(case / "config.json", {"num_heads": small["heads"], "num_groups": small["groups"]})
    save_tensors(case / "inputs.safetensors", {"pixel_values": pixels})
    save_tensors(case / "expected.safetensors", {"predicted_depth": expected})
    write_json(
        case / "case.json",
        {
            "kind": "network",
            "network": "dpt-hybrid",
            "config": "config.json",
            "weights": [f"../{weights_from}/weights.safetensors" if weights_from else "weights.safetensors"],
            "inputs": "inputs.safetensors",
            "expected": "expected.safetensors",
            "options": {},
            "tolerance": {"relL2": 1e-4},
        },
    )
    facts = dict(seed=seed, againstFloat64=against_float64(network, pixels, expected))
    write_provenance(case, packages, controlnet_aux="0.0.3", **facts)
    print(name, expected.shape, expected.min(), expected.max(), expected.std())


if __name__ == "__main__":
    # The square of positions as it is, and stretched; a coarsest level of one row.
    network_case("dpt-hybrid", 301, 2, 64, 96)
    network_case("dpt-hybrid-square", 302, 1, 64, 64, weights_from="dpt-hybrid")
    network_case("dpt-hybrid-one-row", 303, 1, 32, 160, weights_from="dpt-hybrid")
