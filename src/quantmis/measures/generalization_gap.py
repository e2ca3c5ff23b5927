"""How much better a version is on its members than on the non-members: over-fitting."""

import numpy as np

from quantmis.measures.measure import Measure
from quantmis.measures.scored import ScoredVersion
from quantmis.measures.utility import NO_PREDICTIONS
from quantmis.stats import Estimate, Unmeasured
from quantmis.stats.average import average_among


def generalization_gap(version: ScoredVersion) -> Estimate | Unmeasured:
    """Return the mean utility on members minus that on non-members, among the audited samples."""
    table, member = version.table, version.table.audited.member
    if table.per_sample_utility is None:
        return Unmeasured(NO_PREDICTIONS)
    if not member.any() or member.all():
        return Unmeasured("there are no members, or nothing but members")
    utilities, level = table.per_sample_utility[:, table.is_audited].astype(np.float64), version.precision.level
    inside, outside = (average_among(utilities, each, level, table.audited_groups) for each in (member, ~member))
    down = float(np.hypot(inside.value - inside.low, outside.high - outside.value))
    up = float(np.hypot(inside.high - inside.value, outside.value - outside.low))
    value = inside.value - outside.value
    return Estimate(value, value - down, value + up, level, f"members minus non-members; {inside.method}")


GENERALIZATION_GAP = Measure[Estimate](
    name="generalization_gap",
    title="Generalization gap",
    sentence="How much better predictions are on records that a model was trained on than on others; it grows with "
    "over-fitting, which is what attackers live on.",
    kind=Estimate,
    compute=generalization_gap,
    unit="utility difference",
    better="lower",
    order=90,
    limits=("at_most",),
)
