"""
M-LSD large as controlnet_aux 0.0.3 runs it for the structure "hough": a narrow random network with its maps
(networks/mlsd/), the lines of made-up maps and the pictures of lines (annotators/hough/), and the names in the full-size
file (headers/mlsd-large.json).
"""

import fixtures

fixtures.use_controlnet_aux("0.0.3")

import cv2  # noqa: E402
import numpy  # noqa: E402
import torch  # noqa: E402
from controlnet_aux.mlsd import MLSDdetector  # noqa: E402
from controlnet_aux.mlsd.models.mbv2_mlsd_large import (  # noqa: E402
    BlockTypeA,
    BlockTypeB,
    BlockTypeC,
    ConvBNReLU,
    InvertedResidual,
    MobileV2_MLSD_Large,
)
from controlnet_aux.mlsd.utils import pred_lines  # noqa: E402
from controlnet_aux.open_pose.util import resize_image  # noqa: E402
from PIL import Image  # noqa: E402

from fixtures import measure_batch_norms, randomize, write_json, write_provenance  # noqa: E402
from headers import folder as headers, write_header  # noqa: E402
from networks import folder as networks, write_case  # noqa: E402

folder = fixtures.fixtures / "annotators" / "hough"
packages = ["controlnet_aux", "torch", "cv2", "numpy", "PIL"]
seed = 310
photo = Image.open(fixtures.fixtures / "photos" / "eileen-collins.jpg").convert("RGB")


def network_input(image):
    """As `pred_lines` of the reference makes it."""
    picture = numpy.concatenate([image, numpy.ones([*image.shape[:2], 1])], axis=-1).transpose((2, 0, 1))
    return torch.from_numpy(picture[None].astype("float32") / 127.5 - 1.0)


def narrow_network():
    """The layers of the published network with fewer channels, no two stages alike; what joins them is its own code."""
    model = MobileV2_MLSD_Large()
    expansion, features, channels = 2, [ConvBNReLU(4, 8, stride=2), InvertedResidual(8, 6, 1, 1)], 6
    for out, count, stride in [(10, 2, 2), (12, 3, 2), (14, 4, 2), (16, 3, 1)]:
        for index in range(count):
            features.append(InvertedResidual(channels, out, stride if index == 0 else 1, expansion))
            channels = out
    model.backbone.features = torch.nn.Sequential(*features)
    width = 12
    for block, skip, below, upscale in [(15, 14, 16, False), (17, 12, width, True), (19, 10, width, True), (21, 6, width, True)]:
        setattr(model, f"block{block}", BlockTypeA(skip, below, width, width, upscale))
        setattr(model, f"block{block + 1}", BlockTypeB(2 * width, width))
    model.block23 = BlockTypeC(width, 16)
    randomize(model, seed)
    with torch.no_grad():
        # So small that the epsilon of the batch norm decides.
        model.block16.conv1[0].weight.mul_(0.003)
        # Scores around the threshold, so that a blank picture has no lines; and lines of some length.
        model.block23.conv3.bias[7] = -4.2
        model.block23.conv3.weight[8:12].mul_(10)
    return measure_batch_norms(model, network_input(resize_image(numpy.asarray(photo), 512)))


class Maps:
    """Stands in for the network where its result is given."""

    def __init__(self, maps):
        self.maps = maps

    def parameters(self):
        return iter([torch.zeros(1)])

    def __call__(self, image):
        return self.maps


def scattered(count, seed):
    """Whole numbers without order, the same in every language: the high bits of products modulo 2^32."""
    index = numpy.arange(count, dtype=numpy.uint64) + numpy.uint64(seed)
    mixed = (index * numpy.uint64(2654435761)) & numpy.uint64(0xFFFFFFFF)
    mixed ^= mixed >> numpy.uint64(15)
    return (((mixed * numpy.uint64(2246822519)) & numpy.uint64(0xFFFFFFFF)) >> numpy.uint64(16)).astype(numpy.int64)


def made_up_maps(height, width, kind):
    """
    "ties": scores of eight values, so that many more than 200 are the best. "few": some stand out of nothing; among them
    are lines without length and scores on both sides of the threshold.
    """
    size = height * width
    if kind == "ties":
        scores = scattered(size, 1) % 8 / 2 - 2
    else:
        scores = numpy.where(scattered(size, 1) % 301 == 0, scattered(size, 2) % 40 / 8 - 4, -9)
    offsets = [scattered(size, 3 + channel) % 161 / 8 - 10 for channel in range(4)]
    if kind == "few":
        for pair in (0, 1):
            offsets[2 + pair] = numpy.where(scattered(size, 9) % 3 == 0, offsets[pair] + 0.0625, offsets[2 + pair])
    maps = numpy.stack([scores, *offsets]).astype(numpy.float32)
    return torch.from_numpy(maps.reshape(1, 5, height, width))


def decoded():
    cases = []
    for kind, height, width in [("ties", 112, 128), ("few", 120, 112)]:
        image = numpy.zeros((2 * height, 2 * width, 3), numpy.uint8)
        lines = pred_lines(image, Maps(made_up_maps(height, width, kind)), list(image.shape[:2]), 0.1, 0.1)
        cases.append({"kind": kind, "height": height, "width": width, "lines": sorted(lines.tolist())})
        print(kind, len(lines), "lines")
    write_json(folder / "lines.json", cases, indent=None)


def pictures(model):
    inputs = {
        "crop": photo.crop((170, 40, 300, 133)),
        "grey": Image.new("RGB", (40, 60), (90, 120, 150)),
        "pixel": Image.new("RGB", (1, 1), (200, 100, 50)),
    }
    for name, image in inputs.items():
        image.save(folder / f"{name}.png")
    detect = MLSDdetector(model)
    cases = []
    for name, image in {"photo": photo, **inputs}.items():
        # Equal scores side by side: rounding decides which are the best, and PyTorch's own kernels differ in 2,000 pixels.
        if name == "grey":
            continue
        file = "../../photos/eileen-collins.jpg" if name == "photo" else f"{name}.png"
        lines = detect(image)
        lines.convert("1").save(folder / f"{name}-lines.png")
        white = int((numpy.asarray(lines)[:, :, 0] > 0).sum())
        cases.append({"input": file, "output": f"{name}-lines.png", "white": white})
        print(name, lines.size, white, "white pixels")
    write_json(folder / "pictures.json", cases)


if __name__ == "__main__":
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    folder.mkdir(parents=True, exist_ok=True)
    model = narrow_network()
    image = torch.rand(1, 4, 96, 160, generator=torch.Generator().manual_seed(seed + 1)) * 2 - 1
    with torch.no_grad():
        maps = model(image)
    write_case("mlsd", "mlsd", {}, {"image": image}, {"maps": maps}, seed, model.state_dict())
    write_provenance(networks / "mlsd", [*packages, "safetensors"], seed=seed)
    decoded()
    pictures(model)
    write_provenance(folder, packages, seed=seed)
    write_header("mlsd-large", MobileV2_MLSD_Large().state_dict())
    write_json(
        headers / "provenance-mlsd.json",
        {
            "command": "tools/reference/.venv/bin/python tools/reference/annotators_mlsd.py",
            "packages": {"torch": torch.__version__, "controlnet_aux": "0.0.3"},
            "files": ["mlsd-large"],
        },
    )
