"""Who is trained on what: models in complementary pairs.

Model 2i trains on a random half of the samples, model 2i + 1 on the other half. So every sample is a member of
exactly half of the models, every sample is a test of every attack from both sides, and each pair is a paired
replicate: two models between which every sample has changed sides.
"""

import numpy as np
from jaxtyping import Bool, Int

from quantmis.errors import require

FEWEST_MODELS = 2


def complementary_halves(
    models: int, samples: int, generator: np.random.Generator
) -> Bool[np.ndarray, "models samples"]:
    """Return the membership of `samples` in `models`; true where the model trains on the sample.

    Raises `UserError` unless both numbers are even and there are at least two of each.

    >>> member = complementary_halves(4, 6, np.random.default_rng(0))
    >>> member.sum(0).tolist(), member.sum(1).tolist(), bool((member[0] ^ member[1]).all())
    ([2, 2, 2, 2, 2, 2], [3, 3, 3, 3], True)
    """
    _require_even("models", models)
    _require_even("samples", samples)
    halves = generator.permuted(np.tile(np.arange(samples) < samples // 2, (models // 2, 1)), axis=1)
    return np.stack([halves, ~halves], axis=1).reshape(models, samples)


def hold_out(
    samples: int, fraction: float, generator: np.random.Generator
) -> tuple[Int[np.ndarray, " kept"], Int[np.ndarray, " held"]]:
    """Divide `samples` at random into an even number that models train on and the rest, which none ever sees.

    `fraction` of the samples, one more where that makes the others even, are held out. Both are returned in order.

    >>> [part.tolist() for part in hold_out(7, 0.4, np.random.default_rng(0))]
    [[2, 3, 4, 6], [0, 1, 5]]
    """
    require(0 < fraction < 1, f"held_out: expected a fraction between 0 and 1, got {fraction}")
    order = generator.permutation(samples)
    kept = round(samples * (1 - fraction)) // 2 * 2
    require(kept >= 2 and kept < samples, f"held_out: {fraction} of {samples} samples leaves an empty side")
    return np.sort(order[:kept]), np.sort(order[kept:])


def _require_even(what: str, count: int) -> None:
    require(
        count >= FEWEST_MODELS and count % 2 == 0,
        f"expected an even number of {what}, at least {FEWEST_MODELS}, got {count}",
        hint="models come in complementary pairs: what one trains on, its twin does not",
    )
