"""Token sequences of different lengths as one array: the ends of the shorter ones are filled with -1.

No token has that number, so the mask of a sequence can always be read off the array, and everything that indexes
samples works on sequences as on any other input. Models that take them hide the filling from their attention.

A token that is *context* is given to the model and not scored, as a prompt before its completion: token t is written as
-2 - t. So whether a token is scored is its sign, and stays with it wherever the array goes.
"""

from collections.abc import Sequence
from typing import Any, TypeVar, cast

import numpy as np
from jaxtyping import Int

from quantmis.errors import require

PADDING = -1

Array = TypeVar("Array", bound=Any)


def as_context(tokens: Array) -> Array:
    """Write token numbers as those of context, and these as token numbers.

    >>> as_context(as_context(np.array([0, 7]))).tolist(), as_context(7)
    ([0, 7], -9)
    """
    return cast(Array, -2 - tokens)


def numbers(tokens: Array) -> Array:
    """Return the number of each token of an array or tensor, scored or not; the filling stays -1.

    >>> numbers(np.array([-9, 5, -1])).tolist()
    [7, 5, -1]
    """
    return tokens.clip(min=as_context(tokens))


def padded(rows: Sequence[Any], name: str = "x") -> Int[np.ndarray, "samples longest"]:
    """Return sequences of token numbers as one array; `UserError` for what is no such sequence.

    >>> padded([[5, 6, 7], [8]]).tolist()
    [[5, 6, 7], [8, -1, -1]]
    """
    whole = [_row(number, row, name) for number, row in enumerate(rows)]
    table = np.full((len(whole), max(map(len, whole), default=0)), PADDING)
    for number, row in enumerate(whole):
        table[number, : len(row)] = row
    return table


def _row(number: int, row: Any, name: str) -> np.ndarray:
    array = np.asarray(row)
    require(
        array.ndim == 1 and len(array) > 0 and array.dtype.kind in "iu" and int(array.min()) >= 0,
        f"{name}: row {number} is no sequence of token numbers: {str(row)[:60]}",
        hint="rows are of one length, or lists of whole numbers from 0, at least one in each",
    )
    return array
