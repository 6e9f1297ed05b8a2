"""
What Pillow and OpenCV make of small pictures and of a photograph: test/fixtures/images/.

`files/` are pictures in the formats that people send, with the pixels that a viewer shows; `resize/` and `canny/` are
inputs and outputs of the two operations, whose pixels must be equal to the last bit.
"""

import hashlib
import io

import cv2
import numpy
from PIL import Image

from fixtures import fixtures, write_json, write_provenance

folder = fixtures / "images"
photo = Image.open(fixtures / "photos" / "eileen-collins.jpg").convert("RGB")
random = numpy.random.default_rng(11)


def sha256(pixels):
    return hashlib.sha256(numpy.ascontiguousarray(pixels).tobytes()).hexdigest()


def save(image, path, **options):
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    image.save(folder / path, **options)


def on_white(rgba):
    """HWC3 of lllyasviel/ControlNet, annotator/util.py."""
    color = rgba[:, :, 0:3].astype(numpy.float32)
    alpha = rgba[:, :, 3:4].astype(numpy.float32) / 255.0
    return (color * alpha + 255.0 * (1.0 - alpha)).clip(0, 255).astype(numpy.uint8)


def files():
    """Every file is 6×4 or 24×16 and asymmetric; `pixels` are those of the picture as shown, row by row."""
    cases = {}
    base = random.integers(0, 256, (4, 6, 3), dtype=numpy.uint8)
    picture = Image.fromarray(base)

    def case(name, image, shown, **options):
        save(image, f"files/{name}", **options)
        shown = numpy.asarray(shown)
        cases[name] = {"width": shown.shape[1], "height": shown.shape[0], "pixels": shown.flatten().tolist()}

    case("rgb.png", picture, base)
    case("rgb.webp", picture, base, lossless=True)
    case("rgb.tiff", picture, base)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        turned = {
            1: base,
            2: base[:, ::-1],
            3: base[::-1, ::-1],
            4: base[::-1],
            5: base.transpose(1, 0, 2),
            6: numpy.rot90(base, -1),
            7: base.transpose(1, 0, 2)[::-1, ::-1],
            8: numpy.rot90(base, 1),
        }[orientation]
        case(f"orientation-{orientation}.png", picture, turned, exif=exif)
    alpha = random.integers(0, 256, (4, 6, 1), dtype=numpy.uint8)
    alpha[0, :3] = [[0], [255], [1]]
    rgba = numpy.concatenate([base, alpha], axis=2)
    case("rgba.png", Image.fromarray(rgba), on_white(rgba))
    case("rgba.webp", Image.fromarray(rgba), on_white(rgba), lossless=True, exact=True)
    grey = base[:, :, 0]
    case("grey.png", Image.fromarray(grey), numpy.stack([grey] * 3, axis=2))
    grey_alpha = numpy.stack([grey, alpha[:, :, 0]], axis=2)
    shown = on_white(numpy.concatenate([numpy.stack([grey] * 3, axis=2), alpha], axis=2))
    case("grey-alpha.png", Image.fromarray(grey_alpha, "LA"), shown)
    bits = grey > 127
    case("one-bit.png", Image.fromarray(bits), numpy.stack([bits * numpy.uint8(255)] * 3, axis=2))
    palette = picture.quantize(8)
    case("palette.png", palette, palette.convert("RGB"))
    case("palette.gif", palette, palette.convert("RGB"))
    clear = palette.convert("RGBA")
    see_through = numpy.asarray(clear).copy()
    see_through[numpy.asarray(palette) == 2] = [255, 255, 255, 255]
    case("palette-transparent.png", palette, see_through[:, :, :3], transparency=2)
    wide = grey.astype(numpy.uint16) * 257
    case("grey-16-bit.png", Image.fromarray(wide), numpy.stack([grey] * 3, axis=2))
    frames = [Image.fromarray(base[::-1]).quantize(16), Image.fromarray(255 - base).quantize(16)]
    case("animated.gif", frames[0], frames[0].convert("RGB"), save_all=True, append_images=frames[1:], duration=90)
    frames = [Image.fromarray(base), Image.fromarray(255 - base)]
    case("animated.webp", frames[0], base, save_all=True, append_images=frames[1:], duration=90, lossless=True)
    write_json(folder / "files.json", cases, indent=None)

    # No two decoders agree on how ink becomes light: the test names the colours itself.
    inks = {"red": (0, 255, 255, 0), "white": (0, 0, 0, 0), "black": (0, 0, 0, 255), "cyan": (255, 0, 0, 0)}
    for name, ink in inks.items():
        save(Image.new("CMYK", (24, 16), ink), f"files/cmyk-{name}.jpg", quality=95)
    table = numpy.zeros((256, 256, 4), dtype=numpy.uint8)
    table[:, :, 0] = numpy.arange(256)[:, None]
    table[:, :, 3] = numpy.arange(256)
    write_json(
        folder / "hashes.json",
        {
            "photograph": sha256(numpy.asarray(photo)),
            "photographAt768x512": sha256(numpy.asarray(photo.resize((768, 512), Image.LANCZOS))),
            "valueOverAlphaOnWhite": sha256(on_white(table)[:, :, 0]),
        },
    )


def resizes():
    crop = photo.crop((170, 40, 282, 113))
    noise = Image.fromarray(random.integers(0, 256, (31, 47, 3), dtype=numpy.uint8))
    # Black and white at full contrast: the kernel overshoots, and both ends must be clipped.
    checks = Image.fromarray(numpy.kron(random.integers(0, 2, (9, 7, 1)) * 255, numpy.ones((3, 3, 3))).astype("uint8"))
    cases = []
    for name, image, sizes in (
        ("photo", crop, [(64, 64), (192, 128), (112, 40), (37, 73), (113, 74), (1, 1), (5, 200)]),
        ("noise", noise, [(94, 62), (23, 15), (128, 64), (47, 31), (3, 90)]),
        ("checks", checks, [(64, 64), (10, 40), (21, 100)]),
    ):
        save(image, f"resize/{name}.png")
        for width, height in sizes:
            output = f"resize/{name}-{width}x{height}.png"
            save(image.resize((width, height), Image.LANCZOS), output)
            cases.append({"input": f"resize/{name}.png", "output": output, "width": width, "height": height})
    write_json(folder / "resize.json", cases)


def cannies():
    noise = random.integers(0, 256, (45, 67, 3), dtype=numpy.uint8)
    inputs = {
        "noise": noise,
        "blurred": cv2.GaussianBlur(random.integers(0, 256, (70, 53, 3), dtype=numpy.uint8), (0, 0), 1.5),
        "soft": cv2.GaussianBlur(noise, (0, 0), 3) * 2,
        "steps": numpy.kron(random.integers(0, 4, (8, 11, 3)) * 60, numpy.ones((5, 5, 1))).astype(numpy.uint8),
        "row": random.integers(0, 256, (1, 40, 3), dtype=numpy.uint8),
        "pixel": numpy.full((1, 1, 3), 200, dtype=numpy.uint8),
    }
    cases = []
    for name, pixels in inputs.items():
        save(Image.fromarray(pixels), f"canny/{name}.png")
    inputs = {"../photos/eileen-collins.jpg": numpy.asarray(photo)} | {f"canny/{k}.png": v for k, v in inputs.items()}
    for name, pixels in inputs.items():
        stem = name.split("/")[-1].split(".")[0]
        for low, high in [(100, 200), (200, 100), (1, 255), (30, 60), (50.9, 120.5), (255, 255)]:
            output = f"canny/{stem}-{low}-{high}.png"
            edges = cv2.Canny(pixels, low, high)
            save(Image.fromarray(edges).convert("1"), output)
            cases.append({"input": name, "output": output, "low": low, "high": high, "edges": int((edges > 0).sum())})
    write_json(folder / "canny.json", cases)


files()
resizes()
cannies()
write_provenance(folder, ["cv2", "numpy", "PIL"], seed=11)
