"""
HED as controlnet_aux runs it for the structures "hed" and "scribble", release 0.0.3 with the first training and 0.0.6 with
the one under the Apache licence: narrow random networks with their edges (networks/hed-*/), pictures of edges and
strokes (annotators/hed/), and the names in the full-size files (headers/hed-*.json).
"""

import hashlib
import importlib
import sys

import cv2
import numpy
import torch
from PIL import Image

import fixtures
from fixtures import randomize, write_json, write_provenance
from headers import folder as headers, write_header
from networks import folder as networks, write_case

folder = fixtures.fixtures / "annotators" / "hed"
packages = ["torch", "cv2", "numpy", "PIL"]
photo = Image.open(fixtures.fixtures / "photos" / "eileen-collins.jpg").convert("RGB")
full_widths = (64, 128, 256, 512, 512)
narrow_widths = (6, 10, 12, 16, 14)
layer_counts = (2, 2, 3, 3, 3)
numerals = ("One", "Two", "Thr", "Fou", "Fiv")


def hed_of(release):
    for name in [name for name in sys.modules if name.split(".")[0] == "controlnet_aux"]:
        del sys.modules[name]
    fixtures.use_controlnet_aux(release)
    return importlib.import_module("controlnet_aux.hed")


def bare(kind):
    """A network of the reference's class, whose own constructor knows the published widths alone."""
    model = kind.__new__(kind)
    torch.nn.Module.__init__(model)
    return model


def bsds(hed, widths):
    model = bare(hed.Network)
    before = 3
    for block, (numeral, width, count) in enumerate(zip(numerals, widths, layer_counts)):
        layers = [torch.nn.MaxPool2d(kernel_size=2, stride=2)] if block else []
        for _ in range(count):
            layers += [torch.nn.Conv2d(before, width, 3, padding=1), torch.nn.ReLU()]
            before = width
        setattr(model, f"netVgg{numeral}", torch.nn.Sequential(*layers))
        setattr(model, f"netScore{numeral}", torch.nn.Conv2d(width, 1, 1))
    model.netCombine = torch.nn.Sequential(torch.nn.Conv2d(5, 1, 1), torch.nn.Sigmoid())
    return model


def apache(hed, widths):
    model = bare(hed.ControlNetHED_Apache2)
    model.norm = torch.nn.Parameter(torch.zeros(1, 3, 1, 1))
    before = 3
    for block, (width, count) in enumerate(zip(widths, layer_counts)):
        setattr(model, f"block{block + 1}", hed.DoubleConvBlock(before, width, count))
        before = width
    return model


def bsds_edges(model, image):
    """`image` is 0 to 255; the network takes 0 to 1."""
    with torch.no_grad():
        return model(image / 255.0)


def apache_edges(model, image):
    """As `HEDdetector.__call__` goes on after the network."""
    height, width = image.shape[2:]
    with torch.no_grad():
        maps = [part.numpy()[0, 0] for part in model(image)]
    maps = [cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR) for part in maps]
    edges = 1 / (1 + numpy.exp(-numpy.mean(numpy.stack(maps, axis=2), axis=2).astype(numpy.float64)))
    return torch.from_numpy(edges.astype(numpy.float32))[None, None]


def fill(model, seed, edges_of, last_layers):
    """Noise, in such sizes that a photograph has certain edges, uncertain ones and none."""
    randomize(model, seed)
    image = torch.from_numpy(numpy.asarray(photo)).permute(2, 0, 1)[None].float()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 4 and parameter.shape[2] == 3:
                parameter.mul_(2**0.5)
        if hasattr(model, "norm"):
            model.norm.copy_(torch.tensor([120.0, 110.5, 101.25]).view(1, 3, 1, 1))
        for layer in last_layers(model):
            layer.weight.mul_(0.001)
            layer.bias.zero_()
        logits = torch.special.logit(edges_of(model, image).double(), eps=1e-9)
        for layer in last_layers(model):
            layer.weight.mul_(2 / logits.std().item())
            layer.bias.fill_(-1 - 2 * logits.mean().item() / logits.std().item())
        # As stored in halves.
        return model.half().float().eval()


def published_names(model):
    return {name.replace("net", "module"): tensor for name, tensor in model.state_dict().items()}


def save(name, pixels):
    """Of three equal channels."""
    grey = numpy.asarray(pixels)[:, :, 0]
    strokes = set(numpy.unique(grey)) <= {0, 255}
    Image.fromarray(grey).convert("1" if strokes else "L").save(folder / f"{name}.png")


def pictures(hed, training, model, inputs):
    """Rounding decides single pixels; `strokes` of the scribble show that no more than that follows."""
    detect = hed.HEDdetector(model)
    cases = []
    for name, image in inputs.items():
        file = "../../photos/eileen-collins.jpg" if name == "photo" else f"{name}.png"
        case = {"training": training, "input": file}
        for output, scribble in [("edges", False), ("strokes", True)]:
            picture = detect(image, scribble=scribble)
            save(f"{name}-{training}-{output}", picture)
            case[output] = f"{name}-{training}-{output}.png"
            print(case[output], picture.size, numpy.asarray(picture).mean())
        cases.append(case)
    return cases


def detection_sizes(hed):
    """Parts of a photograph laid side by side, and what the networks see of them."""
    tiles = numpy.tile(numpy.asarray(photo), (2, 3, 1))
    cases = []
    for width, height in [(300, 512), (1300, 900), (1536, 1024), (513, 1000), (512, 512)]:
        pixels = hed.resize_image(numpy.ascontiguousarray(tiles[:height, :width]), 512)
        sha256 = hashlib.sha256(pixels.tobytes()).hexdigest()
        seen = {"width": pixels.shape[1], "height": pixels.shape[0], "sha256": sha256}
        cases.append({"width": width, "height": height, "seen": seen})
    write_json(folder / "detection-sizes.json", cases)


def strokes(hed):
    """Edges of an odd size with lines in all directions, plateaus, and edges at the border."""
    random = numpy.random.default_rng(24)
    edges = numpy.zeros((121, 163), numpy.uint8)
    for _ in range(9):
        start, end = ([int(v) for v in random.integers(-5, 160, 2)] for _ in range(2))
        cv2.line(edges, start, end, int(random.integers(120, 256)), int(random.integers(1, 6)))
    edges[-9:, -30:] = 255
    noise = random.integers(0, 40, edges.shape, dtype=numpy.uint8)
    cases = {"lines": numpy.maximum(edges, noise), "white": numpy.full((40, 50), 255), "black": numpy.zeros((3, 5))}
    for name, values in cases.items():
        values = values.astype(numpy.uint8)
        Image.fromarray(values).save(folder / f"{name}.png")
        drawn = cv2.GaussianBlur(hed.nms(values, 127, 3.0), (0, 0), 3.0)
        drawn[drawn > 4] = 255
        drawn[drawn < 255] = 0
        Image.fromarray(drawn).convert("1").save(folder / f"{name}-strokes.png")
        print(name, drawn.mean())


if __name__ == "__main__":
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    # Intel's closed library, which only the wheels for x86 have.
    cv2.ipp.setUseIPP(False)
    folder.mkdir(parents=True, exist_ok=True)
    inputs = {
        "photo": photo,
        "crop": photo.crop((170, 40, 300, 133)),
        "pixel": Image.new("RGB", (1, 1), (200, 100, 50)),
    }
    for name in ["crop", "pixel"]:
        inputs[name].save(folder / f"{name}.png")
    trainings = [
        ("bsds", "0.0.3", bsds, bsds_edges, lambda model: [model.netCombine[0]], 410),
        (
            "apache",
            "0.0.6",
            apache,
            apache_edges,
            lambda model: [getattr(model, f"block{block}").projection for block in range(1, 6)],
            420,
        ),
    ]
    cases = []
    for training, release, make, edges_of, last_layers, seed in trainings:
        hed = hed_of(release)
        model = fill(make(hed, narrow_widths), seed, edges_of, last_layers)
        image = torch.rand(1, 3, 48, 80, generator=torch.Generator().manual_seed(seed + 1)) * 255
        name = f"hed-{training}"
        weights = {key: tensor.half() for key, tensor in published_names(model).items()}
        write_case(name, name, {}, {"image": image}, {"edges": edges_of(model, image)}, seed, weights)
        write_provenance(networks / name, [*packages, "safetensors"], seed=seed, controlnet_aux=release)
        cases += pictures(hed, training, model, inputs)
        write_header(name, published_names(make(hed, full_widths)))
    strokes(hed_of("0.0.3"))
    detection_sizes(hed_of("0.0.3"))
    write_json(folder / "pictures.json", cases)
    write_provenance(folder, packages, seed=24, controlnet_aux=["0.0.3", "0.0.6"])
    write_json(
        headers / "provenance-hed.json",
        {
            "command": "tools/reference/.venv/bin/python tools/reference/annotators_hed.py",
            "packages": {"torch": torch.__version__, "controlnet_aux": ["0.0.3", "0.0.6"]},
            "files": ["hed-bsds", "hed-apache"],
        },
    )
