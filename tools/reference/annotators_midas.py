"""
MiDaS' DPT-hybrid of controlnet_aux 0.0.3, for the structures "depth" and "normal": a small random network with its depth
(networks/dpt-hybrid*/), the names in the full-size file (headers/dpt-hybrid-midas.json), and the pictures that
rossjillian/controlnet's own `midas_hack.py` makes of depth (annotators/midas/).
"""

from functools import partial

import fixtures

fixtures.use_controlnet_aux("0.0.3")

import cv2  # noqa: E402
import numpy  # noqa: E402
import torch  # noqa: E402
from controlnet_aux.midas.midas import blocks, dpt_depth, vit  # noqa: E402
from controlnet_aux.util import resize_image  # noqa: E402
from PIL import Image  # noqa: E402
from timm.models.layers import StdConv2dSame  # noqa: E402
from timm.models.layers.norm_act import GroupNormAct  # noqa: E402
from timm.models.resnetv2 import ResNetV2  # noqa: E402
from timm.models.vision_transformer import VisionTransformer  # noqa: E402
from timm.models.vision_transformer_hybrid import HybridEmbed  # noqa: E402

from fixtures import randomize, save_tensors, write_json, write_provenance  # noqa: E402
from headers import folder as headers, write_header  # noqa: E402

torch.set_num_threads(1)
networks = fixtures.fixtures / "networks"
folder = fixtures.fixtures / "annotators" / "midas"
packages = ["controlnet_aux", "torch", "timm", "safetensors"]
network_seed = 300

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


def small_network():
    original = dpt_depth._make_encoder
    dpt_depth._make_encoder = small_encoder
    try:
        network = dpt_depth.DPTDepthModel(features=small["fusion"])
    finally:
        dpt_depth._make_encoder = original
    network = with_visible_depth(with_small_values(randomize(network, network_seed)))
    return network.to(torch.float16).to(torch.float32)


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
    network = small_network()
    pixels = torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    expected = run(network, pixels)
    case = networks / name
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
    distance = against_float64(network, pixels, expected)
    write_provenance(case, packages, seed=[network_seed, seed], againstFloat64=distance)
    print(name, expected.shape, expected.min(), expected.max(), expected.std())


def full_size_header():
    with torch.no_grad():
        write_header("dpt-hybrid-midas", dpt_depth.DPTDepthModel(backbone="vitb_rn50_384").state_dict())
    command = "tools/reference/.venv/bin/python tools/reference/annotators_midas.py"
    versions = {"torch": torch.__version__, "timm": "0.6.13", "controlnet_aux": "0.0.3"}
    write_json(headers / "provenance-midas.json", {"command": command, "packages": versions})


def detector(model):
    """The original's own, whose constructor wants a published file."""
    midas = fixtures.source("multi-control", "midas_hack.py").MidasDetector
    found = midas.__new__(midas)
    found.model = model
    return found


def write_pictures(name, depth, normal):
    Image.fromarray(depth).convert("RGB").save(folder / f"{name}-depth.png")
    Image.fromarray(normal).save(folder / f"{name}-normal.png")


def slope(height, width, least, greatest):
    """Depth as a trained network finds it: a floor that comes nearer, things in front of it, and a wall behind."""
    y, x = numpy.mgrid[0:height, 0:width].astype(numpy.float32)
    ball = numpy.maximum(0, 1 - ((x - 0.3 * width) ** 2 + (y - 0.4 * height) ** 2) / (0.2 * width) ** 2)
    depth = numpy.maximum(y / height - 0.35, 0) + 0.8 * numpy.sqrt(ball) + 0.04 * numpy.sin(x / 7) * (y / height)
    depth = numpy.maximum(depth, 0)
    return (least + depth / depth.max() * (greatest - least)).astype(numpy.float32)


def pictures_of_maps():
    maps = {
        "slope": slope(75, 110, 120, 3100),
        "gentle": slope(64, 97, 2, 9),
        "constant": numpy.full((33, 40), 1.7, numpy.float32),
        "nothing": numpy.zeros((32, 32), numpy.float32),
    }
    for name, depth in maps.items():
        blank = numpy.zeros((*depth.shape, 3), numpy.uint8)
        made = detector(lambda _, depth=depth: torch.from_numpy(depth)[None])
        write_pictures(name, *made(blank, depth_and_normal=True))
    save_tensors(folder / "maps.safetensors", {name: torch.from_numpy(depth) for name, depth in maps.items()})


def pictures_of_photographs():
    photo = Image.open(fixtures.fixtures / "photos" / "eileen-collins.jpg").convert("RGB")
    made = detector(lambda x: run(small_network(), x))
    photo.crop((100, 40, 324, 200)).save(folder / "crop.png")  # multiples of 32, which the original takes as they are
    write_pictures("crop", *made(numpy.array(Image.open(folder / "crop.png")), depth_and_normal=True))
    photo.crop((150, 60, 250, 135)).save(folder / "odd.png")  # the original fails; this is what later releases do
    odd = numpy.array(Image.open(folder / "odd.png"))
    large = made(resize_image(odd, 512), depth_and_normal=True)
    size = odd.shape[1], odd.shape[0]
    write_pictures("odd", *(cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR) for picture in large))


if __name__ == "__main__":
    full_size_header()
    # The square of positions stretched, and as it is; a coarsest level of one row.
    network_case("dpt-hybrid", 301, 2, 64, 96)
    network_case("dpt-hybrid-square", 302, 1, 64, 64, weights_from="dpt-hybrid")
    network_case("dpt-hybrid-one-row", 303, 1, 32, 160, weights_from="dpt-hybrid")
    folder.mkdir(parents=True, exist_ok=True)
    pictures_of_maps()
    pictures_of_photographs()
    write_provenance(
        folder,
        [*packages, "cv2", "numpy", "PIL"],
        sources={"anotherjesse/multi-control": "1194962"},
        seed=network_seed,
    )
