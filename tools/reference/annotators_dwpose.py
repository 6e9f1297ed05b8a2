"""
DWPose, the pose annotator whose weights may be used commercially: small random networks as `.onnx` files with the inputs
and outputs of the published ones, the persons and joints that the sources of DWPose (see `fixtures.source`) read from
their results, and the pictures of bodies (annotators/dwpose/).

The reference gives both networks the colours in the same order; here each gets its own, as DWPose's networks were
trained: blue first for YOLOX, red first for the joints.
"""

import sys
import types

import fixtures

fixtures.use_controlnet_aux("0.0.3")
sys.path.insert(0, str(fixtures.sources / "DWPose" / "ControlNet-v1-1-nightly" / "annotator"))

import cv2  # noqa: E402
import numpy  # noqa: E402
import torch  # noqa: E402
from controlnet_aux.util import resize_image  # noqa: E402
from PIL import Image  # noqa: E402

from fixtures import randomize, write_json, write_provenance  # noqa: E402

folder = fixtures.fixtures / "annotators" / "dwpose"
seed = 430
photo = Image.open(fixtures.fixtures / "photos" / "eileen-collins.jpg").convert("RGB")


class Detector(torch.nn.Module):
    """Rows of a box, how sure it is, and 80 classes, for each square of three grids: what YOLOX returns."""

    def __init__(self):
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 6, 3, padding=1)
        self.heads = torch.nn.ModuleList(torch.nn.Conv2d(6, 85, 1) for _ in range(3))

    def logits(self, images):
        x = torch.nn.functional.avg_pool2d(images / 128 - 1, 8)
        x = torch.relu(self.stem(x))
        grids = [head(torch.nn.functional.avg_pool2d(x, 2**level)) for level, head in enumerate(self.heads)]
        return torch.cat([grid.flatten(2) for grid in grids], dim=2).permute(0, 2, 1)

    def forward(self, images):
        logits = self.logits(images)
        return torch.cat([logits[..., :4], logits[..., 4:].sigmoid()], dim=-1)


class JointFinder(torch.nn.Module):
    """For each of 133 joints, how likely it is at each half of a pixel across and down: what RTMPose returns."""

    def __init__(self):
        super().__init__()
        self.look = torch.nn.Linear(3 * 12 * 9, 10)
        self.tell = torch.nn.Linear(10, 133 * 4)
        self.x = torch.nn.Parameter(torch.zeros(4, 576))
        self.y = torch.nn.Parameter(torch.zeros(4, 768))

    def forward(self, input):
        pooled = torch.nn.functional.avg_pool2d(input, 32).flatten(1)
        joints = torch.tanh(self.tell(torch.tanh(self.look(pooled)))).reshape(-1, 133, 4)
        return joints @ self.x, joints @ self.y


def networks():
    detector, joint_finder = randomize(Detector(), seed), randomize(JointFinder(), seed + 1)
    images = torch.from_numpy(numpy.asarray(photo.resize((640, 640)))[:, :, ::-1].copy()).permute(2, 0, 1)[None].float()
    with torch.no_grad():
        for head, size in zip(detector.heads, (2.8, 2.2, 1.8)):
            # Boxes of about a hundred pixels, most of them persons.
            head.weight[2:4].mul_(0.3)
            head.weight[4].mul_(3)
            head.bias[2:4] = torch.tensor([size, size + 0.4])
            head.bias[5] = 3
        # A few squares of each grid are sure of something.
        logits = detector.logits(images)[0, :, 4].split([6400, 1600, 400])
        for head, sure, count in zip(detector.heads, logits, (2, 4, 6)):
            head.bias[4] -= sure.sort(descending=True).values[count]
        joint_finder.x.mul_(2.5)
        joint_finder.y.mul_(2.5)
    return detector, joint_finder


class Session:
    """ONNX Runtime's session over the network itself."""

    def __init__(self, network, input_name, shape, output_names, reverse_colours):
        self.network, self.reverse = network, reverse_colours
        self.inputs = [types.SimpleNamespace(name=input_name, shape=shape)]
        self.outputs = [types.SimpleNamespace(name=name) for name in output_names]

    def get_inputs(self):
        return self.inputs

    def get_outputs(self):
        return self.outputs

    def run(self, _, feeds):
        (value,) = feeds.values()
        value = numpy.asarray(value, numpy.float32)
        with torch.no_grad():
            results = self.network(torch.from_numpy(value[:, ::-1].copy() if self.reverse else value))
        return [result.numpy() for result in (results if isinstance(results, tuple) else (results,))]


def export(network, name, example, input_name, output_names, open_batch):
    axes = {key: {0: "batch"} for key in (input_name, *output_names)} if open_batch else None
    torch.onnx.export(
        network,
        example,
        str(folder / name),
        input_names=[input_name],
        output_names=output_names,
        dynamic_axes=axes,
        opset_version=11,
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    # See opencv.py.
    cv2.ipp.setUseIPP(False)
    folder.mkdir(parents=True, exist_ok=True)
    detector, joint_finder = networks()
    export(detector, "yolox_l.onnx", torch.zeros(1, 3, 640, 640), "images", ["output"], False)
    names = ["simcc_x", "simcc_y"]
    export(joint_finder, "dw-ll_ucoco_384.onnx", torch.zeros(1, 3, 384, 288), "input", names, True)

    sessions = {
        "yolox_l.onnx": Session(detector, "images", [1, 3, 640, 640], ["output"], True),
        "dw-ll_ucoco_384.onnx": Session(joint_finder, "input", ["batch", 3, 384, 288], names, False),
    }
    sys.modules["onnxruntime"] = types.SimpleNamespace(
        InferenceSession=lambda path_or_bytes, providers: sessions[path_or_bytes.split("/")[-1]]
    )
    import dwpose  # noqa: E402
    from dwpose.onnxdet import inference_detector  # noqa: E402

    dwpose.util.draw_handpose = dwpose.util.draw_facepose = lambda canvas, _: canvas
    detect = dwpose.DWposeDetector()

    crop = photo.crop((120, 10, 390, 190))
    crop.save(folder / "crop.png")
    cases = []
    for name, image in {"photo": photo, "crop": crop}.items():
        picture = resize_image(numpy.asarray(image), 512)
        boxes = inference_detector(sessions["yolox_l.onnx"], picture)
        joints, scores = detect.pose_estimation(picture)
        Image.fromarray(detect(picture)).save(folder / f"{name}-pose.png", optimize=True)
        found = scores[:, :18] > 0.3
        cases.append(
            {
                "input": "../../photos/eileen-collins.jpg" if name == "photo" else f"{name}.png",
                "output": f"{name}-pose.png",
                "boxes": boxes.tolist(),
                "joints": [
                    [point if there else None for point, there in zip(body[:18], found[index])]
                    for index, body in enumerate(joints.tolist())
                ],
            }
        )
        print(name, picture.shape, len(boxes), "persons", f"{found.mean():.0%} of joints")
    write_json(folder / "pictures.json", cases, indent=None)
    packages = ["controlnet_aux", "torch", "cv2", "numpy", "PIL"]
    write_provenance(folder, packages, seed=seed, sources={"IDEA-Research/DWPose": "3dca5db"})
