"""Token sequences of different lengths as one array: the ends of the shorter ones are filled with -1.

No token has that number, so the mask of a sequence can always be read off the array, and everything that indexes
samples works on sequences as on any other input. Models that take them hide the filling from their attention.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from quantmis.errors import require

PADDING = -1


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
