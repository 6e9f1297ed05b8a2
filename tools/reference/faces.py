"""
Faces (test/fixtures/faces/): small random networks as `.onnx` files with the inputs and outputs of the published
antelopev2, and what insightface 0.7.3 finds with them in pictures; its reading of made-up detector outputs; its
alignment; and the key points that InstantID draws.
"""

import hashlib
import math
import tempfile
import types
from pathlib import Path

import fixtures

fixtures.use_insightface()

import cv2  # noqa: E402
import numpy  # noqa: E402
import onnx  # noqa: E402
import PIL.Image  # noqa: E402
import torch  # noqa: E402
from insightface.app.face_analysis import FaceAnalysis  # noqa: E402
from insightface.model_zoo.retinaface import RetinaFace  # noqa: E402
from insightface.utils import face_align  # noqa: E402

from faces_networks import IResNet, Scrfd, detector_outputs, strides  # noqa: E402
from fixtures import measure_batch_norms, randomize, save_tensors, write_json, write_provenance  # noqa: E402

folder = fixtures.fixtures / "faces"
photos = fixtures.fixtures / "photos"
seed = 510

# How each picture is made of a photograph, in this order: (left, top, width, height) is cut out, every so manieth pixel
# of it is taken, each pixel is repeated, and the whole laid out in columns and rows.
pictures = {
    "portrait": {"photo": "eileen-collins.jpg", "size": 640},
    "portrait, small detector": {"photo": "eileen-collins.jpg", "size": 320},
    "wide": {"photo": "eileen-collins.jpg", "crop": [0, 212, 511, 300], "size": 640},
    "tall, smallest detector": {"photo": "eileen-collins.jpg", "crop": [150, 11, 157, 500], "size": 192},
    "large": {"photo": "eileen-collins.jpg", "crop": [3, 0, 509, 401], "repeat": 3, "size": 640},
    "tiny": {"photo": "eileen-collins.jpg", "crop": [0, 120, 512, 380], "every": 11, "size": 192},
    "tiny, with nobody": {"photo": "eileen-collins.jpg", "crop": [40, 200, 331, 280], "every": 14, "size": 640},
    "cat": {"photo": "cat.jpg", "size": 640},
    "crowd": {"photo": "eileen-collins.jpg", "crop": [110, 0, 301, 363], "every": 2, "tile": [3, 3], "size": 640},
}


def load(recipe):
    picture = numpy.asarray(PIL.Image.open(photos / recipe["photo"]).convert("RGB"))
    if "crop" in recipe:
        left, top, width, height = recipe["crop"]
        picture = picture[top : top + height, left : left + width]
    picture = picture[:: recipe.get("every", 1), :: recipe.get("every", 1)]
    picture = picture.repeat(recipe.get("repeat", 1), axis=0).repeat(recipe.get("repeat", 1), axis=1)
    columns, rows = recipe.get("tile", [1, 1])
    return numpy.tile(picture, (rows, columns, 1))


def detector_input(picture, size):
    ratio = min(size / picture.shape[0], size / picture.shape[1])
    small = cv2.resize(picture, (int(picture.shape[1] * ratio), int(picture.shape[0] * ratio)))
    canvas = numpy.zeros((size, size, 3), numpy.float32)
    canvas[: small.shape[0], : small.shape[1]] = small
    return torch.from_numpy((canvas - 127.5) / 128).permute(2, 0, 1)[None]


def make_detector():
    detector = randomize(Scrfd(6, [(6, 1), (6, 2), (8, 1), (8, 1)], 6, 8, 2), seed)
    seen = [detector_input(load(pictures[name]), 640) for name in ("portrait", "wide", "cat")]
    measure_batch_norms(detector, *seen)
    with torch.no_grad():
        for index, (key, tell) in enumerate(detector.bbox_head.stride_cls.items()):
            detector.bbox_head.scales[index].scale.fill_(1 + 0.1 * index)
            # Boxes of a few places, and points inside of them.
            detector.bbox_head.stride_reg[key].bias.add_(2.5)
            detector.bbox_head.stride_kps[key].bias.copy_(torch.linspace(-2, 2, 20))
            tell.weight.mul_(2)
        # On the portrait, a few places of each grid are sure of a face.
        sure = [torch.logit(scores.double()).flatten().sort(descending=True).values for scores in detector(seen[0])[:3]]
        for tell, values, count in zip(detector.bbox_head.stride_cls.values(), sure, (7, 5, 3)):
            tell.bias.sub_(float(values[count - 1] + values[count]) / 2)
    return detector


def make_embedder():
    embedder = randomize(IResNet(6, [(6, 1), (6, 2), (4, 1), (2, 1)]), seed + 1)
    crops = [detector_input(load(recipe), 112) for recipe in pictures.values()]
    with torch.no_grad():
        for name, parameter in embedder.named_parameters():
            if name.endswith("prelu.weight"):
                parameter.sub_(0.75)
    layers = [layer for layer in embedder.modules() if isinstance(layer, (torch.nn.BatchNorm2d, torch.nn.BatchNorm1d))]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
    with torch.no_grad():
        embedder.train()
        embedder(torch.cat(crops))
    return embedder.eval()


def export(network, name, example, outputs, open_axes):
    """As InsightFace exports: with names that the tracer gave, and lengths that the file leaves open."""
    path = folder / "antelopev2" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    dynamic = {"input.1": {axis: f"axis{axis}" for axis in open_axes}}
    torch.onnx.export(
        network, example, str(path), input_names=["input.1"], dynamic_axes=dynamic, opset_version=11
    )
    model = onnx.load(str(path))
    # Names that the tracer of today gives, but takes from nobody.
    names = dict(zip([output.name for output in model.graph.output], outputs))
    for output in model.graph.output:
        output.name = names[output.name]
    for node in model.graph.node:
        for values in (node.input, node.output):
            values[:] = [names.get(value, value) for value in values]
    for axis in open_axes:
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = "None" if axis == 0 else "?"
    with torch.no_grad():
        results = network(example)
    # The published files state the lengths of the picture that they were traced with.
    for output, result in zip(model.graph.output, results if isinstance(results, tuple) else (results,)):
        dims = [{"dim_value": length} for length in result.shape]
        output.type.tensor_type.shape.CopyFrom(onnx.TensorShapeProto(dim=dims))
    onnx.save(model, str(path))


def save_state(network, name):
    state = {key: value for key, value in network.state_dict().items() if not key.endswith("num_batches_tracked")}
    save_tensors(folder / f"{name}.safetensors", state)


def analyse():
    with tempfile.TemporaryDirectory() as root:
        (Path(root) / "models").mkdir()
        (Path(root) / "models" / "antelopev2").symlink_to(folder / "antelopev2")
        app = FaceAnalysis(name="antelopev2", root=root, providers=["CPUExecutionProvider"])
        assert isinstance(app.det_model, RetinaFace)
        assert (app.models["recognition"].input_mean, app.models["recognition"].input_std) == (127.5, 127.5)
        cases, embeddings = [], []
        for name, recipe in pictures.items():
            app.det_model.input_size = None
            app.prepare(ctx_id=0, det_size=(recipe["size"], recipe["size"]))
            picture = load(recipe)
            faces = app.get(picture[:, :, ::-1].copy())
            check_margins(app.det_model, picture, recipe["size"], name)
            first = len(embeddings)
            embeddings += [torch.from_numpy(face.embedding) for face in faces[:3]]
            found = [
                {"box": face.bbox.tolist(), "score": float(face.det_score), "points": face.kps.tolist()}
                for face in faces
            ]
            cases.append({"name": name, **recipe, "faces": found, "embeddings": [first, len(embeddings)]})
            print(f"{name}: {picture.shape[1]}x{picture.shape[0]}, {len(faces)} faces")
    save_tensors(folder / "embeddings.safetensors", {"embeddings": torch.stack(embeddings)})
    write_json(folder / "pictures.json", cases, indent=None)
    similar = torch.nn.functional.cosine_similarity(embeddings[0], torch.stack(embeddings[1:]))
    print("cosine of the first face with the others:", [round(float(value), 3) for value in similar])


def check_margins(detector, picture, size, name):
    """No face may be there or not there by the last bit."""
    scores = []
    run = detector.session.run

    class Listening:
        def run(self, *arguments):
            results = run(*arguments)
            scores.extend(numpy.concatenate(results[:3]).flatten())
            return results

    session, detector.session = detector.session, Listening()
    overlaps = []
    detector.nms_thresh = 2
    found, _ = detector.detect(picture[:, :, ::-1].copy(), input_size=(size, size))
    detector.nms_thresh, detector.session = 0.4, session
    for index, a in enumerate(found):
        for b in found[index + 1 :]:
            width = max(0, min(a[2], b[2]) - max(a[0], b[0]) + 1)
            height = max(0, min(a[3], b[3]) - max(a[1], b[1]) + 1)
            areas = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (a, b)]
            overlaps.append(width * height / (sum(areas) - width * height))
    margin = numpy.abs(numpy.array(scores) - 0.5).min()
    overlap_margin = min([abs(value - 0.4) for value in overlaps], default=1)
    order = numpy.sort(found[:, 4])
    order_margin = numpy.diff(order).min() if len(order) > 1 else 1
    margins = {"score": margin, "overlap": overlap_margin, "order": order_margin}
    print(f"  {len(found)} candidates; margins:", {key: f"{value:.1e}" for key, value in margins.items()})
    assert min(margins.values()) > 2e-5, name


class MadeUp:
    """A session of a detector that says what it was told."""

    def __init__(self, outputs):
        self.values = outputs

    def get_inputs(self):
        return [types.SimpleNamespace(name="input.1", shape=[1, 3, "?", "?"])]

    def get_outputs(self):
        return [types.SimpleNamespace(name=name) for name in detector_outputs]

    def run(self, names, feeds):
        return self.values


def reading(name, width, height, size, candidates):
    """Candidates are (grid, row, score, four distances, ten distances), in strides."""
    counts = [2 * (size // stride) ** 2 for stride in strides]
    outputs = [numpy.zeros((count, values), numpy.float32) for values in (1, 4, 10) for count in counts]
    for grid, row, score, box, points in candidates:
        outputs[grid][row], outputs[grid + 3][row], outputs[grid + 6][row] = score, box, points
    detector = RetinaFace(model_file="made up", session=MadeUp(outputs))
    detector.prepare(0, input_size=(size, size))
    boxes, points = detector.detect(numpy.zeros((height, width, 3), numpy.uint8))
    print(f"{name}: {len(candidates)} candidates, {len(boxes)} faces")
    faces = [
        {"box": box[:4].tolist(), "score": float(box[4]), "points": own.tolist()} for box, own in zip(boxes, points)
    ]
    written = [
        [grid, row, float(numpy.float32(score)), list(map(float, box)), list(map(float, points))]
        for grid, row, score, box, points in candidates
    ]
    return {"name": name, "width": width, "height": height, "size": size, "candidates": written, "faces": faces}


def readings():
    random = numpy.random.default_rng(seed)
    inside = [-1, -1, 1, -1, 0, 0, -1, 1, 1, 1]

    def at(column, row, stride, size, second=0):
        return 2 * (row * (size // stride) + column) + second

    def below(score):
        return numpy.nextafter(numpy.float32(score), numpy.float32(0))

    twenty = []
    for index in range(20):
        row = at(4 + 14 * (index % 5), 4 + 18 * (index // 5), 8, 640)
        twenty.append((0, row, 0.95 - 0.02 * ((index * 7) % 20), [2, 2, 2, 2.5], inside))
    # 7 by 10 pixels with those on their edges: of 100 that two boxes cover, both cover 40 or 50.
    def moved(pixels):
        return [-pixels / 8, 0, (6 + pixels) / 8, 9 / 8]

    exact = [
        (0, at(4, 4, 8, 192), 0.9, [0, 0, 6 / 8, 9 / 8], inside),
        (0, at(4, 4, 8, 192, 1), 0.8, moved(3), inside),
        (0, at(12, 4, 8, 192), 0.9, [0, 0, 6 / 8, 9 / 8], inside),
        (0, at(12, 4, 8, 192, 1), 0.7, moved(2), inside),
        # Too much only with the pixels on the edges.
        (0, at(4, 12, 8, 192), 0.9, [0, 0, 6 / 8, 9 / 8], inside),
        (0, at(4, 12, 8, 192, 1), 0.6, moved(2.75), inside),
    ]
    ties = [
        (2, at(1, 1, 32, 192), 0.75, [0.5] * 4, inside),
        (0, at(10, 3, 8, 192), 0.75, [1] * 4, inside),
        (1, at(8, 9, 16, 192, 1), 0.75, [1] * 4, inside),
        (1, at(8, 9, 16, 192), 0.75, [1.01] * 4, inside),
        (0, at(20, 20, 8, 192), 0.9, [1] * 4, inside),
    ]
    crowd = []
    for grid, stride in enumerate(strides):
        count = 2 * (256 // stride) ** 2
        for row in random.choice(count, min(count, 60), replace=False):
            box = 1 + 2 * random.random(4)
            points = numpy.float32(random.normal(size=10))
            crowd.append((grid, int(row), 0.4 + 0.6 * random.random(), numpy.float32(box), points))
    nobody = [(0, 17, below(0.5), [1] * 4, inside), (2, 3, 0.1, [1] * 4, inside)]
    half = [
        (1, at(5, 5, 16, 320), 0.5, [2] * 4, inside),
        (1, at(12, 5, 16, 320), below(0.5), [2] * 4, inside),
    ]
    cut = [
        (2, at(0, 0, 32, 640), 0.9, [2, 2, 2, 2], [-1.5] * 10),
        (2, at(13, 19, 32, 640), 0.8, [2, 2, 3, 3.3], [2.2] * 10),
    ]
    face = [-0.3, -0.3, 0.3, -0.3, 0, 0, -0.3, 0.4, 0.3, 0.4]
    twenty_pixels = [(0, at(40, 20, 8, 640), 0.71, [0.8] * 4, face)]
    inside_out = [
        (0, at(9, 9, 8, 192), 0.9, [-1] * 4, inside),
        (0, at(9, 9, 8, 192, 1), 0.8, [1] * 4, inside),
        (0, at(10, 9, 8, 192), 0.7, [-0.125, -0.125, 0, 0], inside),
    ]
    cases = [
        reading("nobody", 512, 512, 640, nobody),
        reading("a score of exactly a half", 300, 200, 320, half),
        reading("twenty", 800, 600, 640, twenty),
        reading("overlaps of exactly and more than the limit", 192, 192, 192, exact),
        reading("equal scores", 192, 192, 192, ties),
        reading("cut by every edge", 700, 1000, 640, cut),
        reading("twenty pixels", 1001, 333, 640, twenty_pixels),
        reading("boxes turned inside out", 192, 192, 192, inside_out),
        reading("a crowd", 411, 640, 256, crowd),
    ]
    write_json(folder / "readings.json", cases, indent=None)


template = face_align.arcface_dst


def turned(degrees, scale, shift, mirror=False):
    angle = math.radians(degrees)
    points = template - 56
    if mirror:
        points = points * [-1, 1]
    matrix = scale * numpy.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    wobble = numpy.array([[0.7, -0.4], [-0.3, 0.9], [0.1, 0.2], [-0.8, 0.5], [0.6, -0.2]])
    return (points @ matrix.T + wobble * scale + shift).astype(numpy.float32)


def alignments():
    picture = load({"photo": "eileen-collins.jpg"})
    cases = {
        "frontal": turned(3, 1.4, (225, 115)),
        "turned by 40 degrees": turned(40, 1.7, (231, 120)),
        "upside down": turned(179, 0.9, (222, 130)),
        "of twenty pixels": turned(-12, 0.18, (226, 121)),
        "larger than the picture": turned(5, 6.5, (260, 250)),
        "over the corner": turned(-20, 1.3, (20, 497)),
        "outside": turned(10, 1.2, (-400, 900)),
        "mirrored": turned(8, 1.5, (224, 118), mirror=True),
        "on a line": numpy.stack([numpy.linspace(200, 260, 5), numpy.linspace(100, 130, 5)], 1).astype(numpy.float32),
        "profile": numpy.float32([[231.2, 98.4], [233.9, 99.1], [262.7, 121.3], [229.4, 146.6], [231.8, 147.9]]),
    }
    written, crops = [], []
    for name, points in cases.items():
        crop, matrix = face_align.norm_crop2(picture, points)
        written.append({"name": name, "points": points.tolist(), "matrix": matrix.flatten().tolist()})
        crops.append(crop)
    PIL.Image.fromarray(numpy.concatenate(crops)).save(folder / "aligned.png", optimize=True)
    write_json(folder / "alignments.json", written, indent=None)
    print("all points at one place:", face_align.estimate_norm(numpy.full((5, 2), 50, numpy.float32)).flatten())


def draw_kps():
    """The function alone: its module wants diffusers' pipelines."""
    file = fixtures.sources / "InstantID" / "pipeline_stable_diffusion_xl_instantid.py"
    lines = file.read_text(encoding="utf-8").splitlines()
    first = next(index for index, line in enumerate(lines) if line.startswith("def draw_kps"))
    end = next(index for index, line in enumerate(lines) if index > first and line.startswith("class "))
    names = {"cv2": cv2, "math": math, "np": numpy, "PIL": PIL}
    exec("\n".join(lines[first:end]), names)
    return names["draw_kps"]


def drawings():
    draw = draw_kps()
    random = numpy.random.default_rng(seed + 1)
    face = numpy.float32([[95.3, 110.7], [160.9, 108.2], [130.4, 150.6], [102.8, 185.1], [155.2, 183.9]])
    sets = [("the published one", 256, 256, face)]
    for index in range(6):
        width, height = (int(value) for value in random.integers(60, 500, 2))
        points = random.random((5, 2)) * [width, height]
        sets.append((f"scattered {index}", width, height, numpy.float32(points)))
    for index in range(4):
        points = random.normal(size=(5, 2)) * 300 + [100, 80]
        sets.append((f"reaching outside {index}", 201, 160, numpy.float32(points)))
    sets += [
        ("all outside", 64, 48, face + numpy.float32([500, -900])),
        ("at one place", 50, 40, numpy.full((5, 2), 20.5, numpy.float32)),
        ("upright and level", 128, 96, numpy.float32([[20, 20], [108, 20], [64, 20], [64, 80], [20.5, 20.25]])),
        ("far away", 100, 100, numpy.float32([[-20000, 50], [20000, 60], [50, 50], [30, 9000], [70, -9000]])),
        ("one pixel", 1, 1, face / 100),
        ("a strip", 640, 3, face),
    ]
    cases = []
    for name, width, height, points in sets:
        data = numpy.asarray(draw(PIL.Image.new("RGB", (width, height)), points))
        digest = hashlib.sha256(data.tobytes()).hexdigest()
        drawn = int((data.reshape(-1, 3).max(1) > 0).sum())
        size = {"width": width, "height": height}
        cases.append({"name": name, **size, "points": points.tolist(), "drawn": drawn, "sha256": digest})
    assert cases[0]["sha256"] == "c552840defcd62c910af8ec62311f483b22bf74d51816a89e25cb18b6ff8e471"
    write_json(folder / "drawings.json", cases, indent=None)


if __name__ == "__main__":
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    # See opencv.py.
    cv2.ipp.setUseIPP(False)
    folder.mkdir(parents=True, exist_ok=True)
    detector, embedder = make_detector(), make_embedder()
    export(detector, "scrfd_10g_bnkps.onnx", torch.zeros(1, 3, 640, 640), detector_outputs, (2, 3))
    export(embedder, "glintr100.onnx", torch.zeros(1, 3, 112, 112), ["1333"], (0,))
    save_state(detector, "scrfd")
    save_state(embedder, "arcface")
    analyse()
    readings()
    alignments()
    drawings()
    packages = ["insightface", "onnx", "onnxruntime", "torch", "cv2", "numpy", "PIL", "skimage"]
    write_provenance(folder, packages, seed=seed, sources={"zsxkib/InstantID": "b8dc74a"})
