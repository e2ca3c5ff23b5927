"""Inputs of several arrays, such as a text and an image: one row of numbers for each sample, and how it is divided.

Everything that looks at samples (digests, copies, memory, groups, the stores) sees the one array; a model gets the
arrays apart again, in their own shapes and types (`quantmis.models.several`).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from quantmis.errors import require

EXACT = 2**24
"""Up to here float32 holds every whole number."""

MOST = 16
"""Arrays; of more of one tuple each is a sample."""


@dataclass(frozen=True)
class Part:
    """Hold the name of one array, by which a model takes it, its shape for one sample, and its type."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def width(self) -> int:
        """How many numbers of a row it has."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Layout:
    """Say how a row is divided; `is_named`: whether models take the arrays by name, or one after the other."""

    parts: tuple[Part, ...]
    is_named: bool

    @property
    def width(self) -> int:
        """The length of a row."""
        return sum(part.width for part in self.parts)

    def arrays(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Return the arrays [samples, ...] of `rows` [samples, width], by name, in their own types."""
        ends = np.cumsum([part.width for part in self.parts])[:-1]
        pieces = np.split(rows, ends, axis=1)
        return {
            part.name: piece.reshape(len(rows), *part.shape).astype(part.dtype)
            for part, piece in zip(self.parts, pieces, strict=True)
        }

    def __str__(self) -> str:
        """Say what the arrays are."""
        return ", ".join(f"{part.name} {list(part.shape)} of {part.dtype}" for part in self.parts)


def is_several(x: Any, samples: int) -> bool:
    """Say whether `x` is a mapping of arrays, or a tuple of arrays that are as long as there are samples."""
    if isinstance(x, Mapping):
        return True
    arrays = isinstance(x, tuple) and 1 < len(x) <= MOST and all(np.ndim(each) and hasattr(each, "shape") for each in x)
    return arrays and all(len(each) == samples for each in x)


def packed(arrays: Mapping[str, np.ndarray], is_named: bool) -> tuple[np.ndarray, Layout]:
    """Return arrays [samples, ...] as one, [samples, width], and how its rows are divided.

    Whole numbers beside others are held as float32, and refused with `UserError` where that would round them.
    """
    parts = tuple(Part(str(name), each.shape[1:], str(each.dtype)) for name, each in arrays.items())
    layout = Layout(parts, is_named)
    is_mixed = any(each.dtype.kind == "f" for each in arrays.values())
    for name, each in arrays.items():
        exact = not is_mixed or each.dtype.kind == "f" or not each.size or int(np.abs(each).max()) <= EXACT
        hint = "number them from 0: beside numbers with fractions they are held in float32"
        require(exact, f"x[{name!r}]: whole numbers above {EXACT:,} stand beside numbers with fractions", hint=hint)
    kind = np.float32 if is_mixed else np.result_type(*(each.dtype for each in arrays.values()))
    return np.concatenate([each.reshape(len(each), -1).astype(kind) for each in arrays.values()], axis=1), layout
