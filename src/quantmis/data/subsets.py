"""Random halves of things of different sizes: subset sums, by integers whose bits are the sums that can be reached."""

from collections import Counter

import numpy as np
from jaxtyping import Bool, Int

FEW = 256
"""Sizes, the last of a random order, that are chosen exactly; those before them lean to no side on average."""

ATTEMPTS = 20


def can_be_halved(sizes: Int[np.ndarray, " groups"]) -> bool:
    """Say whether some of `sizes` sum to half of all.

    >>> can_be_halved(np.array([3, 2, 1])), can_be_halved(np.array([3, 3, 2]))
    (True, False)
    """
    whole = int(sizes.sum())
    if whole % 2:
        return False
    reached, mask = 1, (1 << whole // 2 + 1) - 1
    for size, count in Counter(sizes.tolist()).items():
        rest, times = count, 1
        while rest > 0:  # 1, 2, 4, ... of a size and the rest make every number of it
            step = min(times, rest)
            reached |= (reached << step * size) & mask
            rest, times = rest - step, 2 * times
    return bool(reached >> whole // 2 & 1)


def random_half(sizes: Int[np.ndarray, " groups"], generator: np.random.Generator) -> Bool[np.ndarray, " groups"]:
    """Return groups, drawn at random, whose `sizes` sum to half of all; each is drawn as often as not.

    There must be such groups. Groups are placed in a random order, each on the lighter side, until few are left, and
    these so that the sides are equal.
    """
    for few in [FEW] * ATTEMPTS + [len(sizes)]:
        order = generator.permutation(len(sizes))
        side = np.zeros(len(sizes), dtype=bool)
        early, late = order[: max(0, len(order) - few)], order[max(0, len(order) - few) :]
        _lean(side, early, sizes, generator)
        target = int(sizes.sum()) // 2 - int(sizes[side].sum())
        choice = _exactly(sizes[late], target, generator)
        if choice is not None:
            side[late] = choice
            return side if generator.random() < 0.5 else ~side
    raise AssertionError("there is no half")


def _lean(
    side: Bool[np.ndarray, " groups"],
    early: Int[np.ndarray, " early"],
    sizes: Int[np.ndarray, " groups"],
    generator: np.random.Generator,
) -> None:
    """Put each of the `early` groups on the lighter side, on either where they weigh the same."""
    coins, lean = generator.random(len(early)) < 0.5, 0
    for group, coin in zip(early, coins, strict=True):
        side[group] = lean < 0 or (lean == 0 and coin)
        lean += sizes[group] if side[group] else -sizes[group]


def _exactly(
    sizes: Int[np.ndarray, " late"], target: int, generator: np.random.Generator
) -> Bool[np.ndarray, " late"] | None:
    """Return sizes, at random, that sum to `target`; None where none do."""
    if target < 0:
        return None
    reached, mask = [1], (1 << target + 1) - 1
    for size in sizes.tolist():
        reached.append((reached[-1] | reached[-1] << size) & mask)
    if not reached[-1] >> target & 1:
        return None
    choice = np.zeros(len(sizes), dtype=bool)
    for place in range(len(sizes) - 1, -1, -1):
        size = int(sizes[place])
        with_it = target >= size and reached[place] >> (target - size) & 1
        without = reached[place] >> target & 1
        choice[place] = bool(with_it and (not without or generator.random() < 0.5))
        target -= size if choice[place] else 0
    return choice
