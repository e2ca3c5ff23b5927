"""Forget quality against a model that was retrained without the samples, as TOFU measures it (arXiv 2401.06121)."""

from quantmis.measures.forgotten import NO_FORGET_SET, forget_set, knows
from quantmis.measures.measure import Measure
from quantmis.measures.scored import ScoredVersion
from quantmis.stats import Unmeasured
from quantmis.tables.forgetting import RETRAINED


def forget_quality_retrained(version: ScoredVersion) -> float | Unmeasured | None:
    """Return the p-value of no difference from the retrained model, quantized alike; None where that was not given."""
    those = forget_set(version)
    return None if those is None or not knows(version, RETRAINED) else those.likeness(RETRAINED)


FORGET_QUALITY_RETRAINED = Measure[float](
    name="forget_quality_retrained",
    title="Forget quality against retrained, p",
    sentence="The p-value of the test of Kolmogorov and Smirnov that the scores of records to be forgotten are those "
    "of a model that was trained without them and quantized alike: the forget quality of TOFU. Below 0.05 the two "
    "models differ on them.",
    kind=float,
    compute=forget_quality_retrained,
    span=(0.0, 1.0),
    better="higher",
    order=406,
    limits=("at_least",),
    absent=NO_FORGET_SET,
)
