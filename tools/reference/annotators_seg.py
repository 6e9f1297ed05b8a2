"""
UPerNet over ConvNeXt as rossjillian/controlnet runs it for the structure "seg": a narrow random network with its logits
(networks/upernet/), the labels of made-up logits and the coloured pictures (annotators/seg/), and the names in the
full-size file (headers/upernet-convnext-small.json). Takes its pictures from annotators_mlsd.py.
"""

import json

import fixtures

fixtures.use_controlnet_aux("0.0.3")

import numpy  # noqa: E402
import torch  # noqa: E402
from controlnet_aux.util import ade_palette  # noqa: E402
from PIL import Image  # noqa: E402
from transformers import (  # noqa: E402
    ConvNextConfig,
    SegformerImageProcessor,
    UperNetConfig,
    UperNetForSemanticSegmentation,
)
from transformers.modeling_outputs import SemanticSegmenterOutput  # noqa: E402

from annotators_mlsd import scattered  # noqa: E402
from fixtures import measure_batch_norms, randomize, write_json, write_provenance  # noqa: E402
from headers import folder as headers, write_header  # noqa: E402
from networks import folder as networks, make_small, write_case  # noqa: E402

folder = fixtures.fixtures / "annotators" / "seg"
packages = ["transformers", "torch", "numpy", "PIL", "controlnet_aux"]
seed = 320
photo = Image.open(fixtures.fixtures / "photos" / "eileen-collins.jpg").convert("RGB")
# As published: preprocessor_config.json of openmmlab/upernet-convnext-small holds the defaults.
processor = SegformerImageProcessor()


def upernet(depths, hidden_sizes, **head):
    stages = ["stage1", "stage2", "stage3", "stage4"]
    backbone = ConvNextConfig(depths=depths, hidden_sizes=hidden_sizes, out_features=stages)
    return UperNetForSemanticSegmentation(UperNetConfig(backbone_config=backbone, num_labels=150, **head))


def narrow_network():
    model = upernet([2, 1, 3, 1], [8, 12, 16, 20], hidden_size=16, auxiliary_in_channels=16, auxiliary_channels=4)
    randomize(model, seed)
    # So small that the epsilon of the next norm decides.
    make_small(model.backbone.embeddings.patch_embeddings)
    with torch.no_grad():
        model.decode_head.bottleneck.conv.weight.mul_(0.003)
    crops = [photo.crop((x, y, x + 256, y + 256)) for x, y in [(0, 0), (200, 40), (120, 200), (256, 256)]]
    return measure_batch_norms(model, processor(crops, return_tensors="pt").pixel_values)


def made_up_logits(labels, height, width, steps):
    """Whole numbers below `steps`, as fractions of eight: few of them make ties."""
    numbers = scattered(labels * height * width, 5) % steps / 8
    return torch.from_numpy(numbers.astype(numpy.float32).reshape(1, labels, height, width))


def enlarged():
    """In the two steps of the reference: to four times the logits' size, then to each of the sizes."""
    cases = []
    for labels, height, width, steps in [(40, 9, 7, 4096), (40, 9, 7, 12)]:
        logits = made_up_logits(labels, height, width, steps)
        middle = torch.nn.functional.interpolate(logits, scale_factor=4, mode="bilinear", align_corners=False)
        for size in [(36, 28), (77, 45), (13, 20), (200, 301), (1, 1), (3, 400), (72, 7)]:
            output = SemanticSegmenterOutput(logits=middle)
            found = processor.post_process_semantic_segmentation(output, target_sizes=[size])[0]
            name = f"labels-{steps}-{size[0]}x{size[1]}.png"
            Image.fromarray(found.numpy().astype(numpy.uint8)).save(folder / name)
            shape = {"labels": labels, "height": height, "width": width, "steps": steps}
            cases.append({**shape, "to": {"height": size[0], "width": size[1]}, "output": name})
    write_json(folder / "labels.json", cases, indent=None)


def coloured(model, image):
    """`seg_preprocessor` of anotherjesse/multi-control at 1194962."""
    pixel_values = processor(image, return_tensors="pt").pixel_values
    with torch.no_grad():
        outputs = model(pixel_values)
    seg = processor.post_process_semantic_segmentation(outputs, target_sizes=[image.size[::-1]])[0]
    color_seg = numpy.zeros((seg.shape[0], seg.shape[1], 3), dtype=numpy.uint8)
    for label, color in enumerate(numpy.array(ade_palette())):
        color_seg[seg == label, :] = color
    return Image.fromarray(color_seg)


def pictures(model):
    cases = []
    for name in ("photo", "crop", "grey"):
        file = "../../photos/eileen-collins.jpg" if name == "photo" else f"../hough/{name}.png"
        image = Image.open(folder / file).convert("RGB")
        colours = coloured(model, image)
        colours.save(folder / f"{name}-colours.png", optimize=True)
        count = len(numpy.unique(numpy.asarray(colours).reshape(-1, 3), axis=0))
        cases.append({"input": file, "output": f"{name}-colours.png", "colours": count})
        print(name, colours.size, count, "colours")
    write_json(folder / "pictures.json", cases)


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    model = narrow_network()
    pixels = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(seed + 1))
    with torch.no_grad():
        # Before they are enlarged to the size of the picture.
        logits = model.decode_head(model.backbone(pixels).feature_maps)
    config = json.loads(model.config.to_json_string())
    config = {key: value for key, value in config.items() if key not in ("id2label", "label2id")}
    write_case("upernet", "upernet", config, {"pixel_values": pixels}, {"logits": logits}, seed, model.state_dict())
    enlarged()
    pictures(model)
    write_provenance(folder, packages, seed=seed)
    small = upernet([3, 3, 27, 3], [96, 192, 384, 768])
    write_header("upernet-convnext-small", small.state_dict())
    write_json(
        headers / "provenance-upernet.json",
        {
            "command": "tools/reference/.venv/bin/python tools/reference/annotators_seg.py",
            "packages": {"torch": torch.__version__, "transformers": "4.29.1"},
            "files": ["upernet-convnext-small"],
        },
    )
