"""Pictures that were saved again and texts that were edited: alike, though not a byte is the same.

Images are compared by the low frequencies of their brightness (as the perceptual hashes of Zauner 2010 do), whose
correlation survives compression, scaling and a change of brightness, and then by their pixels. Sequences of tokens are
compared by their runs of three tokens: candidates share a band of MinHash values (Broder 1997), and their Jaccard
similarity decides.
"""

from collections.abc import Iterator

import numpy as np
import scipy
from jaxtyping import Float, Int, UInt

from quantmis.data.tokens import PADDING, numbers

LOW = 8
"""Frequencies of each axis that make up the coarse structure of an image."""

COARSE, FINE = 0.99, 0.97
"""How much the coarse structure and the pixels of images that are alike correlate."""

AT_ONCE = 1024
RUN, LEAST = 3, 12
"""Tokens of a run, and different runs of a sequence that says something."""

MANY_WORDS = 32
"""Different tokens below which whole numbers are categories or bits, not words."""

SAME = 0.8
BANDS, ROWS = 16, 4
PRIME = np.uint64(2**61 - 1)


def images_alike(first: np.ndarray, second: np.ndarray) -> Int[np.ndarray, "pairs 2"]:
    """Return rows of `first` [images, channels, height, width] with the row of `second` that each looks like.

    >>> draw = np.random.default_rng(0).random((6, 3, 16, 16))
    >>> images_alike(draw[:3], np.concatenate([draw[3:], draw[1:2] * 0.8 + 0.1])).tolist()
    [[1, 3]]
    """
    grey, others = first.mean(1, dtype=np.float64), second.mean(1, dtype=np.float64)
    structure, theirs = (_structure(each).astype(np.float32) for each in (grey, others))  # half the time of doubles
    pixels, their_pixels = _unit(grey), _unit(others)
    pairs = list[tuple[int, int]]()
    for start in range(0, len(first), AT_ONCE):
        agreement = structure[start : start + AT_ONCE] @ theirs.T
        for row, partner in zip(*np.nonzero(agreement >= COARSE), strict=True):
            if pixels[start + row] @ their_pixels[partner] >= FINE:
                pairs.append((start + int(row), int(partner)))
    return _once(pairs)


def _structure(grey: Float[np.ndarray, "images height width"]) -> Float[np.ndarray, "images frequencies"]:
    low = np.asarray(scipy.fft.dctn(grey, axes=(1, 2), norm="ortho"))[:, :LOW, :LOW].reshape(len(grey), -1)
    return _unit(low[:, 1:])


def _unit(values: np.ndarray) -> Float[np.ndarray, "images values"]:
    """Return rows of mean 0 and length 1; one without any variation is 0 and correlates with nothing."""
    flat = values.reshape(len(values), -1)
    flat = flat - flat.mean(1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.divide(
        flat, length, out=np.zeros_like(flat), where=length > 1e-9 * max(1.0, float(length.max(initial=0)))
    )


def sequences_alike(first: np.ndarray, second: np.ndarray) -> Int[np.ndarray, "pairs 2"]:
    """Return rows of `first` [sequences, ..., tokens], filled up with -1, with the row of `second` that each is like.

    >>> tokens = np.random.default_rng(0).integers(0, 1000, size=(6, 40))
    >>> edited = tokens[1:2].copy()
    >>> edited[0, 7] = 5
    >>> sequences_alike(tokens[:3], np.concatenate([tokens[3:], edited])).tolist()
    [[1, 3]]
    """
    if first.shape[-1] < LEAST + RUN - 1 or len(np.unique(first)) < MANY_WORDS:
        return np.empty((0, 2), dtype=int)
    runs, others = ([_runs(row) for row in _leading(each)] for each in (first, second))
    signs, theirs = _signatures(runs), _signatures(others)
    pairs = sorted({pair for band in range(BANDS) for pair in _sharing(signs[:, band], theirs[:, band])})
    return _once([(row, partner) for row, partner in pairs if _jaccard(runs[row], others[partner]) >= SAME])


def _leading(x: np.ndarray) -> np.ndarray:
    """Return a sequence for each sample: the first, where it comes with others made from it."""
    return x if x.ndim == 2 else x.reshape(len(x), -1, x.shape[-1])[:, 0]


def _runs(row: np.ndarray) -> np.ndarray:
    """Return the different runs of three tokens of a sequence, each as one number."""
    tokens = numbers(row[row != PADDING].astype(np.int64)).astype(np.uint64)
    if len(tokens) < LEAST + RUN - 1:
        return np.empty(0, dtype=np.uint64)
    mixed = tokens[:-2] * np.uint64(0x9E3779B97F4A7C15) + tokens[1:-1] * np.uint64(0xC2B2AE3D27D4EB4F) + tokens[2:]
    runs = np.unique(mixed ^ (mixed >> np.uint64(29)))
    return runs if len(runs) >= LEAST else runs[:0]


def _signatures(runs: list[np.ndarray]) -> UInt[np.ndarray, "sequences bands rows"]:
    """Return the smallest value of each of several random orders of a sequence's runs."""
    draw = np.random.default_rng(0).integers(1, 2**61, size=(2, BANDS * ROWS), dtype=np.uint64)
    whole = np.iinfo(np.uint64).max
    signatures = np.full((len(runs), BANDS * ROWS), whole, dtype=np.uint64)
    for row, each in enumerate(runs):
        if len(each):
            mixed = each[:, None] * (draw[0] | np.uint64(1)) + draw[1]
            signatures[row] = (mixed ^ (mixed >> np.uint64(31))).min(0)
    return signatures.reshape(len(runs), BANDS, ROWS)


def _sharing(first: np.ndarray, second: np.ndarray) -> Iterator[tuple[int, int]]:
    """Return the pairs of rows whose values in one band are the same."""
    where = dict[bytes, list[int]]()
    for row, values in enumerate(second):
        where.setdefault(values.tobytes(), []).append(row)
    for row, values in enumerate(first):
        if values.min() < np.iinfo(np.uint64).max:
            yield from ((row, partner) for partner in where.get(values.tobytes(), [])[:AT_ONCE])


def _jaccard(first: np.ndarray, second: np.ndarray) -> float:
    shared = len(np.intersect1d(first, second, assume_unique=True))
    return shared / max(1, len(first) + len(second) - shared)


def _once(pairs: list[tuple[int, int]]) -> Int[np.ndarray, "pairs 2"]:
    """Return the first partner of each row."""
    partners = dict[int, int]()
    for row, partner in pairs:
        partners.setdefault(row, partner)
    return np.array(sorted(partners.items()), dtype=int).reshape(-1, 2)
