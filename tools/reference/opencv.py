"""
What OpenCV 4.6 makes of small arrays, to which OpenCV 4.12 as WebAssembly is compared: test/fixtures/opencv/.

`cases.json` names an operation of src/base/opencv.ts, its arguments, and its input and output in `arrays.safetensors`.

The wheels for x86 hand some operations to Intel's closed library (IPP), which others do not have: it is switched off, but
for the cases that say how far apart the two are.
"""

import cv2
import numpy
from PIL import Image
from safetensors.numpy import save_file

from fixtures import fixtures, write_json, write_provenance

folder = fixtures / "opencv"
cv2.ipp.setUseIPP(False)
random = numpy.random.default_rng(12)
arrays = {}
cases = []

interpolations = {
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
    "lanczos4": cv2.INTER_LANCZOS4,
}


def add_input(name, values):
    """Three axes, also of one channel."""
    arrays[name] = numpy.ascontiguousarray(values.reshape(*values.shape[:2], -1))
    return values


def add(operation, name, arguments, output, **facts):
    number = f"{len(cases)}"
    add_input(number, output)
    cases.append({"operation": operation, "input": name, "arguments": arguments, "output": number, **facts})


photo = numpy.asarray(Image.open(fixtures / "photos" / "eileen-collins.jpg").convert("RGB"))
bytes_ = {
    "photo": add_input("photo", photo[60:105, 190:257]),
    "noise": add_input("noise", random.integers(0, 256, (31, 46, 3), dtype=numpy.uint8)),
    "grey": add_input("grey", random.integers(0, 256, (9, 14), dtype=numpy.uint8)),
    "pixel": add_input("pixel", random.integers(0, 256, (1, 1, 3), dtype=numpy.uint8)),
}
floats = {
    "map": add_input("map", random.standard_normal((23, 18), dtype=numpy.float32)),
    "colors": add_input("colors", random.standard_normal((13, 19, 3), dtype=numpy.float32)),
    "heat": add_input("heat", random.random((6, 7, 19), dtype=numpy.float32)),
    "limbs": add_input("limbs", random.standard_normal((5, 7, 38), dtype=numpy.float32)),
}


def resizes():
    sizes = {
        "photo": [(100, 61), (23, 15), (1, 1)],
        "noise": [(92, 62), (23, 10), (46, 31)],
        "grey": [(31, 5), (20, 20), (7, 3)],
        "pixel": [(7, 5)],
        "map": [(37, 29), (6, 11)],
        "colors": [(38, 26), (20, 5)],
        "heat": [(11, 13), (3, 4)],
        "limbs": [(9, 8)],
    }
    for name, values in {**bytes_, **floats}.items():
        for method, flag in interpolations.items():
            if values.ndim == 3 and values.shape[2] > 4 and method not in ("linear", "cubic"):
                continue
            for size in sizes[name]:
                add("resize", name, [*size, method], cv2.resize(values, size, interpolation=flag))
    for name, factor in [("noise", 0.7), ("noise", 1.45), ("heat", 3.7), ("limbs", 2.3), ("limbs", 1.25)]:
        values = {**bytes_, **floats}[name]
        # Sides that are rounded, so that the factor is not the ratio of the sides.
        output = cv2.resize(values, (0, 0), fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
        add("resizeBy", name, [factor, "cubic"], output)
    cv2.ipp.setUseIPP(True)
    output = cv2.resize(bytes_["photo"], (100, 61), interpolation=cv2.INTER_CUBIC)
    add("resize", "photo", [100, 61, "cubic"], output, ipp=True)
    cv2.ipp.setUseIPP(False)


def smooth():
    for name in ["photo", "grey", "pixel", "map", "colors", "heat"]:
        values = {**bytes_, **floats}[name]
        for sigma in [3, 1.2]:
            add("gaussianBlur", name, [sigma], cv2.GaussianBlur(values, (0, 0), sigma))
    for name in ["map", "colors"]:
        for dx, dy in [(1, 0), (0, 1)]:
            add("sobel", name, [dx, dy], cv2.Sobel(floats[name], cv2.CV_32F, dx, dy, ksize=3))


def dilations():
    kernels = [
        [[0, 0, 0], [1, 1, 1], [0, 0, 0]],
        [[0, 1, 0], [0, 1, 0], [0, 1, 0]],
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        [[0, 0, 1], [0, 1, 0], [1, 0, 0]],
    ]
    for kernel in kernels:
        mask = numpy.array(kernel, dtype=numpy.uint8)
        add("dilate", "map", [kernel], cv2.dilate(floats["map"], kernel=mask))
        add("dilate", "noise", [kernel], cv2.dilate(bytes_["noise"], kernel=mask))


def drawings():
    background = add_input("background", random.integers(0, 256, (40, 51, 3), dtype=numpy.uint8))

    def point(low=-9, high=60):
        return [int(value) for value in random.integers(low, high, 2)]

    def xy(values):
        return {"x": values[0], "y": values[1]}

    def color():
        return [int(value) for value in random.integers(0, 256, 3)]

    def draw(operation, shapes):
        """Each shape: its arguments for us, and what draws it here."""
        picture = background.copy()
        for _, shape in shapes:
            shape(picture)
        add(operation, "background", [arguments for arguments, _ in shapes], picture)

    def line(start, end, ink):
        return [xy(start), xy(end), ink], lambda picture: cv2.line(picture, start, end, ink)

    lines = [line(point(), point(), color()) for _ in range(14)]
    draw("line", [*lines, line([3, 3], [3, 3], color()), line([-9, -9], [-2, -5], color())])

    def circle(center, radius, ink):
        return [xy(center), radius, ink], lambda picture: cv2.circle(picture, center, radius, ink, thickness=-1)

    draw("circle", [circle(point(), int(radius), color()) for radius in [0, 1, 2, 3, 4, 4, 4, 10, 21]])

    def polygon(corners, ink):
        points = numpy.array(corners, dtype=numpy.int32)
        return [[xy(corner) for corner in corners], ink], lambda picture: cv2.fillConvexPoly(picture, points, ink)

    ellipses = []
    for center, axes, angle in [
        ((20, 19), (17, 4), 33),
        ((48, 3), (9, 4), -170),
        ((9, 30), (0, 4), 90),
        ((30, 8), (5, 2), 0),
    ]:
        corners = cv2.ellipse2Poly(center, axes, angle, 0, 360, 1)
        add("ellipsePolygon", None, [xy(center), xy(axes), angle, 0, 360, 1], corners.astype(numpy.float64))
        ellipses.append(polygon(corners.tolist(), color()))
    draw("fillConvexPolygon", ellipses)


def warps():
    for name in ["photo", "noise", "map"]:
        values = {**bytes_, **floats}[name]
        for angle, scale in [(17, 0.8), (-140, 1.7)]:
            matrix = cv2.getRotationMatrix2D((11.25, 13.5), angle, scale)
            output = cv2.warpAffine(values, matrix, (29, 37), flags=cv2.INTER_LINEAR)
            add("warpAffine", name, [matrix.flatten().tolist(), 29, 37], output)


resizes()
smooth()
dilations()
drawings()
warps()
folder.mkdir(parents=True, exist_ok=True)
save_file(arrays, str(folder / "arrays.safetensors"))
write_json(folder / "cases.json", cases, indent=None)
write_provenance(folder, ["cv2", "numpy", "PIL"], seed=12)
