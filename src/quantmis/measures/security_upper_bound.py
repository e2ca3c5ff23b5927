"""The upper bound on membership inference security that the attacks give."""

from quantmis.measures.measure import Measure
from quantmis.measures.scored import ScoredVersion
from quantmis.stats import Estimate, Unmeasured


def security_upper_bound(version: ScoredVersion) -> Estimate | Unmeasured:
    """Return 1 - (TPR - FPR) of the strongest attack, chosen on one half of the samples and measured on the other."""
    return version.bound.security


SECURITY_UPPER_BOUND = Measure[Estimate](
    name="security_upper_bound",
    title="MIS at most, by attack",
    sentence="Every attack that was carried out bounds membership inference security (MIS) from above, none from "
    "below: it is at most 2 minus twice how often the strongest attack is right.",
    kind=Estimate,
    compute=security_upper_bound,
    unit="number",
    span=(0.0, 1.0),
    bounded=True,
    better="higher",
    shown=frozenset({"theory"}),
    order=130,
    limits=("at_least",),
)
