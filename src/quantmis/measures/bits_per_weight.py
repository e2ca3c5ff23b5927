"""What is stored for each weight."""

from collections.abc import Sequence

import numpy as np

from quantmis.measures.measure import Measure
from quantmis.measures.scored import ScoredVersion
from quantmis.stats import Unmeasured

UNKNOWN = "not known of a version that was quantized elsewhere"


def mean_of_models(values: Sequence[float | None]) -> float | Unmeasured:
    """Return the mean over models of what is known of each of them."""
    numbers = [value for value in values if value is not None]
    return float(np.mean(numbers)) if len(numbers) == len(values) else Unmeasured(UNKNOWN)


def bits_per_weight(version: ScoredVersion) -> float | Unmeasured:
    """Return the bits of a weight, scales included, the mean over models."""
    return mean_of_models([each.bits_per_weight for each in version.table.traits])


BITS_PER_WEIGHT = Measure[float](
    name="bits_per_weight",
    title="Bits per weight",
    sentence="What is stored for each weight, scales included.",
    kind=float,
    compute=bits_per_weight,
    unit="bits",
    span=(0.0, 1e6),
    better="lower",
    shown=frozenset({"ranking"}),
    order=30,
    limits=("at_most",),
)
