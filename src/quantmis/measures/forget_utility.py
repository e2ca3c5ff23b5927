"""What a version is worth on samples that it was made to forget."""

from quantmis.measures.forgotten import NO_FORGET_SET, forget_set
from quantmis.measures.measure import Measure
from quantmis.measures.scored import ScoredVersion
from quantmis.stats import Estimate, Unmeasured


def forget_utility(version: ScoredVersion) -> Estimate | Unmeasured | None:
    """Return the mean utility of predictions on forgotten samples; None without a forget set."""
    those = forget_set(version)
    return None if those is None else those.utility(those.forget)


FORGET_UTILITY = Measure[Estimate](
    name="forget_utility",
    title="Utility on what was forgotten",
    sentence="What a version is worth on the records that were to be forgotten, in the metric of the task. Where a "
    "whole class was to be forgotten, little is what was asked for; else as much as on records never seen.",
    kind=Estimate,
    compute=forget_utility,
    unit="utility",
    order=410,
    limits=("at_most",),
    glossary=False,
    absent=NO_FORGET_SET,
)
