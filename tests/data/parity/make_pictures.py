#!/usr/bin/env python3
"""Makes the codecs' and the resampler's parity fixtures with PIL.

    make_pictures.py FOLDER

FOLDER/decode has pictures of every kind, each with <file>.ppm: the upright RGB that PIL reads from it. FOLDER/lanczos has
input<i>.ppm and input<i>_<w>x<h>.ppm, its Lanczos resizes.
"""

import pathlib
import shutil
import sys

import numpy as np
from PIL import Image, ImageOps, PngImagePlugin

SIZES = {  # input: outputs (width, height)
    (97, 61): [(97, 61), (32, 32), (200, 150), (96, 61), (97, 64), (1, 1), (7, 300), (31, 5)],
    (640, 360): [(96, 64), (160, 96), (641, 359), (320, 180)],
    (100, 100): [(55, 10), (56, 10), (98, 96), (99, 96), (99, 98), (101, 101), (101, 99)],  # PIL's order of passes changes
    (50, 200): [(10, 120), (11, 120), (51, 201), (40, 100)],
    (3, 2): [(64, 32), (2, 1), (3, 5)],
    (1, 1): [(32, 32)],
    (512, 4): [(28, 28), (5, 5)],
}


def picture(width, height, seed=0):
    """Gradients, hard edges and noise."""
    y, x = np.mgrid[0:height, 0:width]
    rng = np.random.Generator(np.random.PCG64(seed))
    rgb = np.stack([255 * x / max(width - 1, 1), 255 * y / max(height - 1, 1), 128 + 100 * np.sin(x / 5 + y / 3)], axis=-1)
    rgb[(x // 9 + y // 7) % 5 == 0] = (250, 5, 128)
    rgb += rng.normal(0, 10, rgb.shape)
    return Image.fromarray(np.clip(rgb, 0, 255).round().astype(np.uint8))


def alpha(image):
    out = image.convert("RGBA")
    ramp = np.linspace(0, 255, image.width * image.height).reshape(image.height, image.width).astype(np.uint8)
    out.putalpha(Image.fromarray(ramp))
    return out


def exif(orientation):
    data = Image.Exif()
    data[0x0112] = orientation
    data[0x010F] = "a camera with a long name"
    return data


def decode(folder):
    folder.mkdir(parents=True, exist_ok=True)
    base, tiny = picture(61, 43), Image.new("RGB", (1, 1), (10, 200, 30))
    grey = base.convert("L")
    palette = base.quantize(200)
    see_through = base.quantize(16)
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "x" * 100000, zip=True)
    text.add_itxt("note", "文" * 50, zip=True)

    def save(name, image, **options):
        path = folder / name
        image.save(path, **options)
        with Image.open(path) as opened:
            ImageOps.exif_transpose(opened).convert("RGB").save(f"{path}.ppm")

    save("rgb.png", base)
    save("one.png", tiny)
    save("grey.png", grey)
    save("grey_alpha.png", alpha(base).convert("LA"))
    save("rgba.png", alpha(base))
    save("bilevel.png", base.convert("1"))
    save("palette.png", palette)
    save("palette_4bit.png", base.quantize(11), bits=4)
    save("palette_2bit.png", base.quantize(3), bits=2)
    save("palette_1bit.png", base.quantize(2), bits=1)
    save("palette_transparent.png", see_through, transparency=3)
    save("palette_alphas.png", see_through, transparency=bytes(range(0, 160, 10)))
    save("rgb_transparent.png", base, transparency=base.getpixel((0, 0)))
    save("text_and_profile.png", base, pnginfo=text, icc_profile=b"\0" * 3000)
    save("gamma.png", base, dpi=(72, 72))
    for i in range(1, 9):
        save(f"exif{i}.png", base, exif=exif(i))
        save(f"exif{i}.jpg", base, exif=exif(i), quality=90)
        save(f"exif{i}.webp", base, exif=exif(i), lossless=True)
    save("one.jpg", tiny)
    save("grey.jpg", grey)
    save("cmyk.jpg", base.convert("CMYK"), quality=95)
    save("progressive.jpg", base, progressive=True)
    save("rgb.jpg", base, keep_rgb=True)
    for subsampling in (0, 1, 2):
        save(f"subsampling{subsampling}.jpg", base, subsampling=subsampling, quality=85)
    save("restart.jpg", base, restart_marker_blocks=2)
    save("wide.jpg", picture(333, 17, 5), quality=40)
    save("one.webp", tiny, lossless=True)
    save("lossy.webp", base, quality=70)
    save("lossless.webp", base, lossless=True)
    save("rgba_lossy.webp", alpha(base), quality=70)
    save("rgba_lossless.webp", alpha(base), lossless=True, exact=True)
    save("animated.webp", base, save_all=True, append_images=[picture(61, 43, 9)], duration=50, lossless=True)


def lanczos(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for i, (size, outputs) in enumerate(SIZES.items()):
        image = picture(*size, seed=i)
        image.save(folder / f"input{i}.ppm")
        for width, height in outputs:
            image.resize((width, height), Image.Resampling.LANCZOS).save(folder / f"input{i}_{width}x{height}.ppm")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    shutil.rmtree(sys.argv[1], ignore_errors=True)
    decode(pathlib.Path(sys.argv[1]) / "decode")
    lanczos(pathlib.Path(sys.argv[1]) / "lanczos")
