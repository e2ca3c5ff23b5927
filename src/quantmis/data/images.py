"""Images in folders, one folder per class: `cat/001.png`, `dog/17.jpg`.

Classes are numbered in the alphabetical order of their folders. Pixels become numbers from 0 to 1, [samples, channels,
height, width]. Only PNG, JPEG, BMP and WebP are decoded, whatever a file is called.
"""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from quantmis.data.paths import unreadable
from quantmis.data.samples import Samples
from quantmis.errors import UserError, require
from quantmis.registry import suggestion

FORMATS = ("PNG", "JPEG", "BMP", "WEBP")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
COLOURS = {"rgb": "RGB", "grey": "L"}
LARGEST = 4096
"""Pixels of the longer side of an image after it was scaled."""


def read_images(folder: Path, key: str, size: int | None = None, colour: str = "rgb") -> Samples:
    """Return the images of a folder as samples, whose ids are their paths in it.

    `size` scales every image to a square of so many pixels; without it all must be of one size. Raises `UserError`
    naming the file that is no image, of another size, or a link that leads out of the folder.
    """
    require(colour in COLOURS, f"{key}: unknown colour {colour!r}", hint=suggestion(colour, COLOURS))
    require(size is None or 1 <= size <= LARGEST, f"{key}: size must lie between 1 and {LARGEST}, got {size}")
    classes = _classes(folder, key)
    files = [(number, path) for number, (_, paths) in enumerate(classes) for path in paths]
    first = _pixels(files[0][1], key, size, colour)
    x = np.empty((len(files), *first.shape), dtype=np.float32)
    for row, (_, path) in enumerate(files):
        pixels = _pixels(path, key, size, colour)
        require(
            pixels.shape == first.shape,
            f"{key}: {path.relative_to(folder)} has {_size(pixels)} pixels, {files[0][1].relative_to(folder)} has "
            f"{_size(first)}",
            hint="give size = 32, or another one, to scale all of them to a square",
        )
        x[row] = pixels
    named = ", ".join(f"{number} = {name}" for number, (name, _) in enumerate(classes))
    scaled = f"; scaled to {size} x {size}" if size else ""
    return Samples(
        x,
        np.array([number for number, _ in files]),
        ids=[path.relative_to(folder).as_posix() for _, path in files],
        notes=[f"images in {colour}, pixels from 0 to 1{scaled}", f"the classes {named}"],
    )


def _classes(folder: Path, key: str) -> list[tuple[str, list[Path]]]:
    require(folder.is_dir(), f"{key}: {folder} is no folder", hint="name the folder that holds a folder per class")
    try:
        entries = _visible(folder)
        stray = [path for path in entries if not path.is_dir()]
        require(
            not stray,
            f"{key}: {stray[0].name if stray else ''} lies beside the folders of the classes",
            hint="images lie in a folder per class: cat/001.png",
        )
        require(len(entries) >= 2, f"{key}: expected a folder per class, found {len(entries)} in {folder}")
        return [(path.name, _images(path, folder, key)) for path in entries]
    except OSError as error:
        raise unreadable(folder, key, error) from error


def _images(folder: Path, home: Path, key: str) -> list[Path]:
    paths = _visible(folder)
    for path in paths:
        name = path.relative_to(home)
        require(path.resolve().is_relative_to(home.resolve()), f"{key}: {name} is a link that leads out of the folder")
        require(
            path.suffix.lower() in SUFFIXES and path.is_file(),
            f"{key}: {name} is no image",
            hint=f"images are files that end in {', '.join(SUFFIXES)}; take everything else out of the folder",
        )
    require(paths, f"{key}: the folder {folder.name} is empty: every class needs images")
    return paths


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.name != "Thumbs.db")


def _pixels(path: Path, key: str, size: int | None, colour: str) -> np.ndarray:
    """Return one image, [channels, height, width], from 0 to 1."""
    from PIL import Image, ImageFile

    try:
        with _whole(ImageFile), Image.open(path, formats=FORMATS) as image:
            require(
                size is not None or max(image.size) <= LARGEST,
                f"{key}: {path.name} has {image.size[0]} x {image.size[1]} pixels",
                hint="give size",
            )
            plain = image.convert(COLOURS[colour])
            scaled = plain if size is None else plain.resize((size, size), Image.Resampling.BILINEAR)
            pixels = np.asarray(scaled, dtype=np.float32) / 255
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        message = f"{key}: cannot read the image {path.parent.name}/{path.name}: {error}"
        raise UserError(message, hint="is it whole, and a PNG, JPEG, BMP or WebP?") from error
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _size(pixels: np.ndarray) -> str:
    return f"{pixels.shape[2]} x {pixels.shape[1]}"


@contextmanager
def _whole(reader: Any) -> Generator[None]:
    """Refuse images that were cut short, whatever another library has told Pillow for the whole process."""
    before, reader.LOAD_TRUNCATED_IMAGES = reader.LOAD_TRUNCATED_IMAGES, False
    try:
        yield
    finally:
        reader.LOAD_TRUNCATED_IMAGES = before
