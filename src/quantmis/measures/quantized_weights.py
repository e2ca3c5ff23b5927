"""How many weights were quantized."""

from quantmis.measures.bits_per_weight import UNKNOWN
from quantmis.measures.measure import Measure
from quantmis.measures.scored import ScoredVersion
from quantmis.stats import Unmeasured


def quantized_weights(version: ScoredVersion) -> int | Unmeasured:
    """Return the number of quantized weights of one model."""
    count = version.table.traits[0].weights
    return Unmeasured(UNKNOWN) if count is None else count


QUANTIZED_WEIGHTS = Measure[int](
    name="quantized_weights",
    title="Weights quantized",
    sentence="How many weights of a model were quantized.",
    kind=int,
    compute=quantized_weights,
    unit="count",
    span=(0, 2**53),
    order=50,
    glossary=False,
)
