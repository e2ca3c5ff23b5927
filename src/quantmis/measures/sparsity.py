"""How many weights are zero."""

from quantmis.measures.bits_per_weight import mean_of_models
from quantmis.measures.measure import Measure
from quantmis.measures.scored import ScoredVersion
from quantmis.stats import Unmeasured


def sparsity(version: ScoredVersion) -> float | Unmeasured:
    """Return the share of quantized weights that are zero, as measured, the mean over models."""
    return mean_of_models([each.sparsity for each in version.table.traits])


SPARSITY = Measure[float](
    name="sparsity",
    title="Zero weights",
    sentence="The share of weights that were rounded to zero.",
    kind=float,
    compute=sparsity,
    unit="share",
    span=(0.0, 1.0),
    bounded=True,
    shown=frozenset({"ranking"}),
    order=40,
)
