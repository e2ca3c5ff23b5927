"""Images in folders, one folder per class: `cat/001.png`, `dog/17.jpg`; or such folders in `train` and `test`.

Classes are numbered in the alphabetical order of their folders. Pixels become numbers from 0 to 1, [samples, channels,
height, width], those of 16 bits too, turned as the camera says. Only PNG, JPEG, BMP and WebP are decoded, whatever a
file is called. The id of an image is its path: `train/cat/001.png`.
"""

import os
import struct
import warnings
import zlib
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from quantmis.data.ceiling import ceiling, require_below
from quantmis.data.samples import Samples
from quantmis.errors import UserError, require
from quantmis.files import opened, unreadable
from quantmis.registry import suggestion

FORMATS = ("PNG", "JPEG", "BMP", "WEBP")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
COLOURS = {"rgb": "RGB", "grey": "L"}
WIDE = ("I", "I;16", "I;16B", "I;16L", "I;16N")
"""What Pillow calls images of 16 bits, which it would clip to white as others are converted."""

WHITE, WIDE_WHITE = 255, 65535
LARGEST = 4096
"""Pixels of the longer side of an image after it was scaled."""

MOST_PIXELS = 2**26
"""Pixels of an image before it is scaled: a small file can claim any size."""

ORIENTATION = 0x0112
BROKEN = (
    OSError,
    ValueError,
    SyntaxError,
    TypeError,
    KeyError,
    IndexError,
    EOFError,
    OverflowError,
    RuntimeError,
    struct.error,
    zlib.error,
)
"""What Pillow raises for images that were cut short or harmed."""


def read_images(
    folder: Path, key: str, size: int | None = None, colour: str = "rgb", memory: float | None = None
) -> Samples:
    """Return the images of a folder as samples, whose ids are their paths in it.

    `size` scales every image to a square of so many pixels; without it all must be of one size. Raises `UserError`
    naming the file that is no image, of another size, or a link that leads out of the folder, and where they would take
    more than `memory` GiB.
    """
    require(colour in COLOURS, f"{key}: unknown colour {colour!r}", hint=suggestion(colour, COLOURS))
    require(size is None or 1 <= size <= LARGEST, f"{key}: size must lie between 1 and {LARGEST}, got {size}")
    classes = _classes(folder, key)
    files = [(number, path) for number, paths in enumerate(classes.values()) for path in paths]
    x = _stacked([path for _, path in files], folder, key, size, colour, memory)
    legend = ", ".join(f"{number} = {name}" for number, name in enumerate(classes))
    scaled = f"; scaled to {size} x {size}" if size else ""
    return Samples(
        x,
        np.array([number for number, _ in files]),
        ids=[_relative_name(path, folder) for _, path in files],
        class_names=list(classes),
        notes=[f"images in {colour}, pixels from 0 to 1{scaled}", f"the classes {legend}"],
    )


def _stacked(
    paths: Sequence[Path], folder: Path, key: str, size: int | None, colour: str, memory: float | None
) -> np.ndarray:
    first = _pixels(paths[0], key, size, colour)
    most = ceiling(sum(path.stat().st_size for path in paths), memory)
    require_below(len(paths) * first.nbytes, most, f"{key}: {len(paths):,} images of {_size(first)} pixels")
    x = np.empty((len(paths), *first.shape), dtype=np.float32)
    for row, path in enumerate(paths):
        pixels = _pixels(path, key, size, colour)
        require(
            pixels.shape == first.shape,
            f"{key}: {_relative_name(path, folder)} has {_size(pixels)} pixels, "
            f"{_relative_name(paths[0], folder)} has {_size(first)}",
            hint="give size = 32, or another one, to scale all of them to a square",
        )
        x[row] = pixels
    return x


def _relative_name(path: Path, folder: Path) -> str:
    """Return the path of an image in the folder, with what is no Unicode in it escaped."""
    return os.fsencode(path.relative_to(folder).as_posix()).decode("utf-8", "backslashreplace")


def parts_of(folder: Path) -> list[Path]:
    """Return the folders that hold the folders of classes: `folder` itself, or those in it, as `train` and `test`."""
    entries = _visible(folder)
    inner = [_visible(each) if each.is_dir() else [] for each in entries]
    divided = len(entries) > 0 and all(each and all(path.is_dir() for path in each) for each in inner)
    return entries if divided else [folder]


def _classes(folder: Path, key: str) -> dict[str, list[Path]]:
    """Return the images of each class, in the order of the classes."""
    require(folder.is_dir(), f"{key}: {folder} is no folder", hint="name the folder that holds a folder per class")
    try:
        classes = dict[str, list[Path]]()
        for part in parts_of(folder):
            for each in _folders(part, folder, key):
                classes.setdefault(_relative_name(each, part), []).extend(_images(each, folder, key))
    except OSError as error:
        raise unreadable(folder, key, error) from error
    require(len(classes) >= 2, f"{key}: expected a folder per class, found {len(classes)} in {folder}")
    return dict(sorted(classes.items()))


def _folders(part: Path, home: Path, key: str) -> list[Path]:
    entries = _visible(part)
    stray = [path for path in entries if not path.is_dir()]
    require(
        not stray,
        f"{key}: {_relative_name(stray[0], home) if stray else ''} lies beside the folders of the classes",
        hint="images lie in a folder per class: cat/001.png, or train/cat/001.png",
    )
    return entries


def _images(folder: Path, home: Path, key: str) -> list[Path]:
    paths, real = _visible(folder), home.resolve()
    for path in paths:
        name = _relative_name(path, home)
        require(path.resolve().is_relative_to(real), f"{key}: {name} is a link that leads out of the folder")
        require(
            path.suffix.lower() in SUFFIXES and path.is_file(),
            f"{key}: {name} is no image",
            hint=f"images are files that end in {', '.join(SUFFIXES)}; take everything else out of the folder",
        )
    require(paths, f"{key}: the folder {_relative_name(folder, home)} is empty: every class needs images")
    return paths


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.name != "Thumbs.db")


def _pixels(path: Path, key: str, size: int | None, colour: str) -> np.ndarray:
    """Return one image, [channels, height, width], from 0 to 1."""
    from PIL import Image, ImageFile

    try:
        with opened(path, key) as stream, _whole(ImageFile, Image), Image.open(stream, formats=FORMATS) as image:
            _require_fits(image, size, path, key)
            pixels = _numbers(_upright(image), size, colour)
    except (*BROKEN, Image.DecompressionBombError) as error:
        message = f"{key}: cannot read the image {path.parent.name}/{path.name}: {error}"
        raise UserError(message, hint="is it whole, and a PNG, JPEG, BMP or WebP?") from error
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _require_fits(image: Any, size: int | None, path: Path, key: str) -> None:
    width, height = image.size
    message = f"{key}: {path.name} has {width} x {height} pixels"
    require(width * height <= MOST_PIXELS, f"{message}, more than {MOST_PIXELS:,}", hint="save it smaller")
    require(size is not None or max(image.size) <= LARGEST, message, hint="give size")


def _upright(image: Any) -> Any:
    """Return the image as its camera was held."""
    from PIL import ImageOps

    return image if image.getexif().get(ORIENTATION, 1) == 1 else ImageOps.exif_transpose(image)


def _numbers(image: Any, size: int | None, colour: str) -> np.ndarray:
    """Return pixels from 0 to 1, [height, width] or [height, width, channels]."""
    from PIL import Image

    wide = image.mode in WIDE
    plain = Image.fromarray(np.asarray(image, dtype=np.float32)) if wide else image.convert(COLOURS[colour])
    scaled = plain if size is None else plain.resize((size, size), Image.Resampling.BILINEAR)
    pixels = np.asarray(scaled, dtype=np.float32) / (WIDE_WHITE if wide else WHITE)
    return np.stack([pixels] * 3, axis=2) if wide and colour == "rgb" else pixels


def _size(pixels: np.ndarray) -> str:
    return f"{pixels.shape[2]} x {pixels.shape[1]}"


@contextmanager
def _whole(reader: Any, images: Any) -> Generator[None]:
    """Refuse images that were cut short, whatever another library has told Pillow for the whole process."""
    before, reader.LOAD_TRUNCATED_IMAGES = reader.LOAD_TRUNCATED_IMAGES, False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", images.DecompressionBombWarning)  # its size is looked at here
            yield
    finally:
        reader.LOAD_TRUNCATED_IMAGES = before
