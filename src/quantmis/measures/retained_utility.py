"""What a version is worth on samples that it was trained on and may remember."""

from quantmis.measures.forgotten import NO_FORGET_SET, forget_set
from quantmis.measures.measure import Measure
from quantmis.measures.scored import ScoredVersion
from quantmis.stats import Estimate, Unmeasured


def retained_utility(version: ScoredVersion) -> Estimate | Unmeasured | None:
    """Return the mean utility of predictions on retained samples; None without a forget set."""
    those = forget_set(version)
    return None if those is None else those.utility(those.retained)


RETAINED_UTILITY = Measure[Estimate](
    name="retained_utility",
    title="Utility on what is retained",
    sentence="What a version is worth on records that it was trained on and may remember, in the metric of the task: "
    "what forgetting costs shows here.",
    kind=Estimate,
    compute=retained_utility,
    unit="utility",
    better="higher",
    order=409,
    limits=("at_least",),
    glossary=False,
    absent=NO_FORGET_SET,
)
