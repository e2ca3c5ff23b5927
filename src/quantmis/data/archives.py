"""Arrays in `.npz` and `.npy` files: no pickles, no array larger than its file holds, no name that stands there twice.

The header of an array is compared with the bytes behind it before memory is taken for them.
"""

import lzma
import math
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterable
from io import BufferedIOBase, BufferedReader
from pathlib import Path
from typing import IO

import numpy as np

from quantmis.data.ceiling import ceiling, require_below
from quantmis.errors import UserError
from quantmis.files import opened

Stream = IO[bytes] | BufferedIOBase
"""A file, or an entry of an archive, which is no `IO` of typing where types are checked at run time."""

MAGIC = b"\x93NUMPY"
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
PICKLED = "pickled objects are refused: they can run code; save plain arrays"
BROKEN = (
    ValueError,
    EOFError,
    KeyError,
    RuntimeError,  # of zipfile, for what is encrypted or of a kind that is not read
    OverflowError,
    SyntaxError,
    tokenize.TokenError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)
"""What reading a damaged archive raises."""


def read_archive(
    path: Path, what: str, names: Iterable[str] | None = None, memory: float | None = None
) -> dict[str, np.ndarray]:
    """Return the arrays of an `.npz` file by name, or those of `names` that are there.

    Raises `UserError`, beginning with `what`, for a file that is no archive, holds pickled objects or two arrays of one
    name, or whose arrays would take more memory than `ceiling` allows.
    """
    with opened(path, what) as stream:
        if stream.read(len(MAGIC)) == MAGIC:
            raise UserError(f"{what}: {path.name} holds one array, not several by name", hint="np.savez(path, x=x)")
        try:
            return _archive(stream, path, names, memory)
        except OSError as error:
            raise UserError(f"{what}: cannot read {path}: {error.strerror or error}", hint=PICKLED) from error
        except BROKEN as error:
            raise UserError(f"{what}: cannot read {path}: {str(error) or 'it is damaged'}", hint=PICKLED) from error


def names_in(path: Path, what: str) -> list[str]:
    """Return the names of the arrays in an `.npz` file; `UserError` where it is none."""
    with opened(path, what) as stream:
        try:
            with zipfile.ZipFile(stream) as archive:
                return [*_members(archive)]
        except (OSError, *BROKEN) as error:
            raise UserError(f"{what}: cannot read {path}: {error}", hint=PICKLED) from error


def read_array(path: Path, what: str) -> np.ndarray:
    """Return the array of an `.npy` file; `UserError` for everything else."""
    with opened(path, what) as stream:
        try:
            return _array(stream, path.stat().st_size)
        except (OSError, *BROKEN) as error:
            raise UserError(f"{what}: cannot read {path}: {str(error) or 'it is damaged'}", hint=PICKLED) from error


def _archive(
    stream: BufferedReader, path: Path, names: Iterable[str] | None, memory: float | None
) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(stream) as archive:
        members = _members(archive)
        entries = [name for name in (members if names is None else names) if name in members]
        needed = sum(members[name].file_size for name in entries)
        require_below(needed, ceiling(path.stat().st_size, memory), f"{path.name}: what it holds")
        arrays = dict[str, np.ndarray]()
        for name in entries:
            with archive.open(members[name]) as member:
                arrays[name] = _array(member, members[name].file_size)
        return arrays


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    members = dict[str, zipfile.ZipInfo]()
    for each in archive.infolist():
        name = each.filename.removesuffix(".npy")
        if name in members:
            raise ValueError(f"it holds two arrays called {name!r}")
        members[name] = each
    return members


def _array(stream: Stream, size: int) -> np.ndarray:
    """Return the array of a stream of so many bytes, whose header must speak of just these."""
    version = np.lib.format.read_magic(stream)
    if version not in HEADERS:
        raise ValueError(f"its format is {version}, not one of plain arrays")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that Python 2 wrote it
        shape, by_columns, dtype = HEADERS[version](stream)
    if dtype.hasobject:
        raise ValueError("it holds objects")
    needed = math.prod(shape) * dtype.itemsize
    available = size - stream.tell()
    if needed != available:
        raise ValueError(f"its header speaks of {needed:,} bytes, and {available:,} are there")
    content = bytearray(needed)
    _fill(memoryview(content), stream)
    return np.frombuffer(content, dtype).reshape(shape, order="F" if by_columns else "C")


def _fill(content: memoryview, stream: Stream) -> None:
    start = 0
    while start < len(content):
        block = stream.read(min(2**20, len(content) - start))
        if not block:
            raise EOFError("it was cut short")
        content[start : start + len(block)] = block
        start += len(block)
