"""What quantizing brings back of the utility on samples that were to be forgotten."""

from quantmis.measures.attack_accuracy_change import ITSELF
from quantmis.measures.forgotten import NO_FORGET_SET, forget_set
from quantmis.measures.measure import Measure
from quantmis.measures.scored import ScoredVersion
from quantmis.stats import Estimate, Unmeasured


def forget_utility_change(version: ScoredVersion) -> Estimate | Unmeasured | None:
    """Return the utility on forgotten samples minus that in full precision, paired; None without a forget set."""
    those, whole = forget_set(version), forget_set(version.full_precision)
    if those is None or whole is None:
        return None
    return Unmeasured(ITSELF) if version.is_full_precision else those.utility_change(whole)


FORGET_UTILITY_CHANGE = Measure[Estimate](
    name="forget_utility_change",
    title="Utility on what was forgotten, change",
    sentence="How much more a version is worth than full precision on the records that were to be forgotten; above 0 "
    "where quantizing brings back what the model knew of them.",
    kind=Estimate,
    compute=forget_utility_change,
    unit="utility difference",
    order=411,
    limits=("at_most",),
    absent=NO_FORGET_SET,
)
