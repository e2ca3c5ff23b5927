"""Samples that can only be remembered: copies with the targets of others."""

import numpy as np

from quantmis.data.samples import Samples
from quantmis.errors import require

ATTEMPTS = 100


def with_canaries(samples: Samples, number: int, generator: np.random.Generator) -> Samples:
    """Return `samples` and, behind them, `number` copies of some whose targets are those of others, all different.

    Raises `UserError` where there are not enough samples, or too few different targets.

    >>> twenty = Samples(np.arange(40.0).reshape(20, 2), np.arange(20) % 2)
    >>> planted = with_canaries(twenty, 2, np.random.default_rng(0))
    >>> len(planted), bool((planted.y[20:] != 1 - planted.y[20:]).all())
    (22, True)
    """
    if number == 0:
        return samples
    half = len(samples) // 2
    require(number <= half and number % 2 == 0, f"canaries: expected an even number of at most {half}, got {number}")
    chosen = generator.choice(len(samples), number, replace=False)
    others = _of_others(samples.y, chosen, generator)
    x = np.concatenate([samples.x, samples.x[chosen]])
    names = None if samples.ids is None else [*samples.ids, *(f"canary {number}" for number in range(len(chosen)))]
    return Samples(x, np.concatenate([samples.y, samples.y[others]]), names, samples.notes)


def _of_others(y: np.ndarray, chosen: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    others = generator.integers(len(y), size=len(chosen))
    for _ in range(ATTEMPTS):
        same = (y[others] == y[chosen]).reshape(len(chosen), -1).all(1)
        if not same.any():
            return others
        others[same] = generator.integers(len(y), size=int(same.sum()))
    require(False, "canaries: the targets hardly differ, so none can be given the target of another")
    return others
