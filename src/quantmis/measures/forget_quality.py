"""Forget quality against samples that were never seen: the p-value of a two-sample test."""

from quantmis.measures.forgotten import NO_FORGET_SET, forget_set
from quantmis.measures.measure import Measure
from quantmis.measures.scored import ScoredVersion
from quantmis.stats import Unmeasured


def forget_quality(version: ScoredVersion) -> float | Unmeasured | None:
    """Return the p-value (Kolmogorov and Smirnov) of no difference from never seen samples; None without a set."""
    those = forget_set(version)
    return None if those is None else those.quality()


FORGET_QUALITY = Measure[float](
    name="forget_quality",
    title="Forget quality against never seen, p",
    sentence="The p-value of the test of Kolmogorov and Smirnov that the scores of records to be forgotten and those "
    "of records of the same class that the model never saw are alike. Below 0.05 they differ; above, so few records "
    "show no difference, which is no proof that there is none.",
    kind=float,
    compute=forget_quality,
    span=(0.0, 1.0),
    better="higher",
    order=405,
    limits=("at_least",),
    absent=NO_FORGET_SET,
)
