"""How much memory a file may take once it is read: small files can claim any size.

Ten times the size of the file and a gibibyte, which no honest table needs and every machine has; `[data] memory` says
another number of gibibytes.
"""

import math

from quantmis.errors import require

TIMES, SPARE = 10, 2**30


def ceiling(size: int, memory: float | None = None) -> int:
    """Return how many bytes may be taken by what is read of `size` bytes; `memory` in GiB stands for it.

    >>> ceiling(0) == ceiling(10**9, memory=1.0) == 2**30
    True
    """
    return SPARE + TIMES * size if memory is None else round(memory * 2**30)


def require_below(needed: int, most: int, what: str) -> None:
    """Raise `UserError` where `what` is going to take more than `most` bytes."""
    require(
        needed <= most,
        f"{what} would take {needed / 2**30:,.1f} GiB of memory, more than {most / 2**30:,.1f}",
        hint=f"a small file can claim any size; where this one may: [data] memory = {math.ceil(needed / 2**30)} (GiB)",
    )
