"""
OpenPose's body network and what controlnet_aux 0.0.3 makes of its maps for the structure "pose": a narrow random network
with its maps (networks/openpose/), bodies found in made-up maps and in photographs (annotators/pose/), and the names in
the full-size file (headers/openpose-body.json).
"""

import fixtures

fixtures.use_controlnet_aux("0.0.3")

import cv2  # noqa: E402
import numpy  # noqa: E402
import torch  # noqa: E402
from controlnet_aux.open_pose import OpenposeDetector, model as openpose  # noqa: E402
from controlnet_aux.open_pose.body import Body  # noqa: E402
from PIL import Image  # noqa: E402

from fixtures import randomize, save_tensors, write_json, write_provenance  # noqa: E402
from headers import folder as headers, write_header  # noqa: E402
from networks import folder as networks, rounded, write_case  # noqa: E402

folder = fixtures.fixtures / "annotators" / "pose"
packages = ["controlnet_aux", "torch", "cv2", "numpy", "scipy", "PIL"]
seed = 410
photo = Image.open(fixtures.fixtures / "photos" / "eileen-collins.jpg").convert("RGB")

limbs = [
    (2, 3), (2, 6), (3, 4), (4, 5), (6, 7), (7, 8), (2, 9), (9, 10), (10, 11), (2, 12),
    (12, 13), (13, 14), (2, 1), (1, 15), (15, 17), (1, 16), (16, 18), (3, 17), (6, 18),
]  # fmt: skip
fields = [
    (31, 32), (39, 40), (33, 34), (35, 36), (41, 42), (43, 44), (19, 20), (21, 22), (23, 24), (25, 26),
    (27, 28), (29, 30), (47, 48), (49, 50), (53, 54), (51, 52), (55, 56), (37, 38), (45, 46),
]  # fmt: skip


def published_names(model):
    """The published file names layers without the block that they are in."""
    return {name.split(".", 1)[1]: tensor for name, tensor in model.state_dict().items()}


def narrow_network():
    """The published network with fewer channels, no two groups of layers alike."""
    widths = {"conv1": 6, "conv2": 8, "conv3": 9, "conv4": 10, "conv4_3_CPM": 7, "conv4_4_CPM": 6, "conv5_4": 12}
    hidden = 5

    def width_of(layer, published):
        if published in (38, 19):
            return published
        if layer.startswith(("Mconv", "conv5")) and not layer.startswith("conv5_4"):
            return hidden
        return widths.get(layer) or widths[layer[:7] if layer.startswith("conv5_4") else layer[:5]]

    make_layers = openpose.make_layers

    def make_narrow_layers(block, without_relu):
        narrow, width = {}, None
        for layer, sizes in block.items():
            if "pool" not in layer:
                inside = {3: 3, 185: 38 + 19 + widths["conv4_4_CPM"]}.get(sizes[0], width or widths["conv4_4_CPM"])
                width = width_of(layer, sizes[1])
                sizes = [inside, width, *sizes[2:]]
            narrow[layer] = sizes
        return make_layers(narrow, without_relu)

    openpose.make_layers = make_narrow_layers
    model = randomize(openpose.bodypose_model(), seed)
    openpose.make_layers = make_layers
    with torch.no_grad():
        # ReLUs take half of what comes in. Maps of a moderate size: where everything is a limb, rounding decides.
        for parameter in model.parameters():
            if parameter.dim() == 4:
                parameter.mul_(2**0.5)
        model.model6_1[-1].weight.mul_(0.75)
        model.model6_2[-2].weight.mul_(0.6)
    return rounded(model, torch.float16)


class Maps:
    """Stands in for the network where its result is given."""

    def __init__(self, paf, heatmap):
        self.maps = torch.from_numpy(paf)[None], torch.from_numpy(heatmap)[None]

    def __call__(self, image):
        return self.maps


def detector_with(model):
    body = Body.__new__(Body)
    body.model = model
    return OpenposeDetector(body)


# Of somebody who stands and looks at us, in widths and heights of the body; from nose to ears.
standing = [
    (0.50, 0.08), (0.50, 0.20), (0.34, 0.21), (0.24, 0.36), (0.18, 0.50), (0.66, 0.21), (0.77, 0.35), (0.80, 0.52),
    (0.41, 0.52), (0.39, 0.74), (0.36, 0.96), (0.59, 0.52), (0.62, 0.73), (0.60, 0.95),
    (0.46, 0.055), (0.54, 0.055), (0.41, 0.07), (0.59, 0.07),
]  # fmt: skip
legs = {9, 10, 11, 12, 13, 14}


def body_at(left, top, width, height, missing=()):
    """Of each part, counted from 1, the place in the maps."""
    return {
        part + 1: (left + x * width, top + y * height) for part, (x, y) in enumerate(standing) if part + 1 not in missing
    }


def made_up_maps(rows, columns, bodies, noise, generator):
    paf = noise * generator.standard_normal((38, rows, columns))
    heatmap = numpy.zeros((19, rows, columns))
    y, x = numpy.mgrid[0:rows, 0:columns]
    for body, strength in bodies:
        for part, (px, py) in body.items():
            blob = strength * numpy.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 0.9**2))
            heatmap[part - 1] = numpy.maximum(heatmap[part - 1], blob)
        for (a, b), pair in zip(limbs, fields):
            if a not in body or b not in body:
                continue
            start, way = numpy.array(body[a]), numpy.array(body[b]) - numpy.array(body[a])
            length = max(numpy.hypot(*way), 1e-3)
            along = ((x - start[0]) * way[0] + (y - start[1]) * way[1]) / length
            across = numpy.abs((x - start[0]) * way[1] - (y - start[1]) * way[0]) / length
            on_limb = (along > -1) & (along < length + 1) & (across < 1.2)
            for channel, direction in zip(pair, way / length):
                paf[channel - 19][on_limb] = strength * direction
    # Nothing stays symmetric: of two pixels that are equal, the rounding would choose.
    heatmap += 0.3 * noise * generator.standard_normal(heatmap.shape)
    return paf.astype(numpy.float16).astype(numpy.float32), heatmap.astype(numpy.float16).astype(numpy.float32)


def map_cases():
    generator = numpy.random.default_rng(seed)
    crowd = [
        (body_at(-2, 1, 14, 21), 0.9),
        # To the chest.
        (body_at(8, 9, 16, 26, missing=legs), 0.8),
        # Without a neck, arms and head are persons of their own, until a shoulder meets an ear.
        (body_at(22, 0, 14, 22, missing={2}), 0.85),
        # Two that stand in each other.
        (body_at(37, 2, 10, 18), 0.9),
        (body_at(40, 2.6, 10, 18), 0.7),
        # Of whom there is too little, and who is too faint.
        (body_at(52, 2, 8, 12, missing=set(range(4, 19))), 0.9),
        (body_at(56, 3, 8, 18), 0.18),
    ]
    yield "crowd", 512, 1472, *made_up_maps(23, 67, crowd, 0.02, generator)
    yield "tall", 704, 512, *made_up_maps(23, 17, [(body_at(1, 0, 15, 22), 0.9)], 0.05, generator)
    yield "nobody", 512, 576, *made_up_maps(23, 26, [], 0.02, generator)
    paf = 3 * generator.standard_normal((38, 23, 26))
    heatmap = 0.7 * generator.standard_normal((19, 23, 26))
    yield "chaos", 512, 576, *(maps.astype(numpy.float16).astype(numpy.float32) for maps in (paf, heatmap))


def save_picture(name, picture):
    picture.save(folder / f"{name}.png", optimize=True)


def bodies_in_maps():
    cases = []
    for name, height, width, paf, heatmap in map_cases():
        seen = [-(-round(side * 184 / height) // 8) for side in (height, width)]
        assert list(paf.shape[1:]) == list(heatmap.shape[1:]) == seen, (name, paf.shape, seen)
        picture = numpy.zeros((height, width, 3), numpy.uint8)
        model = Maps(paf, heatmap)
        candidates, people = detector_with(model).body_estimation(picture)
        tensors = {"paf": torch.from_numpy(paf), "heatmap": torch.from_numpy(heatmap)}
        save_tensors(folder / f"{name}.safetensors", {key: value.half()[None] for key, value in tensors.items()})
        save_picture(name, detector_with(model)(picture))
        cases.append(
            {
                "maps": f"{name}.safetensors",
                "picture": f"{name}.png",
                "height": height,
                "width": width,
                "peaks": [[int(x), int(y), score] for x, y, score, _ in candidates.reshape(-1, 4).tolist()],
                "people": [
                    {"parts": [int(part) for part in row[:18]], "score": row[18], "count": int(row[19])}
                    for row in people.tolist()
                ],
            }
        )
        print(name, len(candidates), "peaks", len(people), "people")
    write_json(folder / "maps.json", cases, indent=None)


def bodies_in_pictures(model):
    inputs = {"crop": photo.crop((120, 10, 390, 190)), "pixel": Image.new("RGB", (1, 1), (200, 100, 50))}
    cases = []
    for name, image in {"photo": photo, **inputs}.items():
        if name != "photo":
            image.save(folder / f"{name}.png")
        file = "../../photos/eileen-collins.jpg" if name == "photo" else f"{name}.png"
        picture = detector_with(model)(image)
        save_picture(f"{name}-pose", picture)
        cases.append({"input": file, "output": f"{name}-pose.png"})
        print(name, picture.size, int((numpy.asarray(picture).max(axis=2) > 0).sum()), "pixels of bodies")
    write_json(folder / "pictures.json", cases)


if __name__ == "__main__":
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    # See opencv.py.
    cv2.ipp.setUseIPP(False)
    folder.mkdir(parents=True, exist_ok=True)
    model = narrow_network()
    image = torch.rand(1, 3, 48, 72, generator=torch.Generator().manual_seed(seed + 1)) - 0.5
    with torch.no_grad():
        paf, heatmap = model(image)
    assert 0.1 < (heatmap == 0).float().mean() < 0.9, "the last ReLU has to matter"
    weights = {name: tensor.half() for name, tensor in published_names(model).items()}
    write_case("openpose", "openpose", {}, {"image": image}, {"paf": paf, "heatmap": heatmap}, seed, weights)
    write_provenance(networks / "openpose", [*packages, "safetensors"], seed=seed)
    bodies_in_maps()
    bodies_in_pictures(model)
    write_provenance(folder, packages, seed=seed)
    write_header("openpose-body", published_names(openpose.bodypose_model()))
    write_json(
        headers / "provenance-pose.json",
        {
            "command": "tools/reference/.venv/bin/python tools/reference/annotators_pose.py",
            "packages": {"torch": torch.__version__, "controlnet_aux": "0.0.3"},
            "files": ["openpose-body"],
        },
    )
