"""Randomness has an address: the same words name the same stream, in any order, on any number of workers.

Nothing in this package touches a global generator. `generator(seed, "shadow", 3)` is the stream of the fourth
shadow model wherever and whenever it is asked for; streams of different addresses are independent.
"""

import hashlib
import json

import numpy as np

Address = str | int


def generator(seed: int, *address: Address) -> np.random.Generator:
    """Return the random stream at `address` under `seed`.

    >>> bool(generator(0, "shadow", 3).random() == generator(0, "shadow", 3).random())
    True
    >>> bool(generator(0, "shadow", 3).random() == generator(0, "shadow", 4).random())
    False
    """
    return np.random.Generator(np.random.PCG64(_entropy(seed, address)))


def integer(seed: int, *address: Address) -> int:
    """Return a 63-bit integer fixed by `seed` and `address`: the seed for another library's generator."""
    return _entropy(seed, address) >> 65 & (1 << 63) - 1


def spell(*address: Address) -> str:
    """Write an address as messages show it.

    >>> spell("shadow", 3)
    'shadow/3'
    """
    return "/".join(map(str, address))


def _entropy(seed: int, address: tuple[Address, ...]) -> int:
    words = json.dumps([seed, *address]).encode()  # JSON tells 3 from "3" and ("a", "b") from ("ab",)
    return int.from_bytes(hashlib.sha256(words).digest()[:16], "big")
