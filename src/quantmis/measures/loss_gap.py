"""How much larger the loss is on non-members than on members (Yeom et al. 2018): over-fitting, of losses alone."""

import numpy as np

from quantmis.measures.measure import Measure
from quantmis.measures.scored import ScoredVersion
from quantmis.stats import Estimate, Unmeasured
from quantmis.stats.average import average_among


def loss_gap(version: ScoredVersion) -> Estimate | Unmeasured:
    """Return the mean loss on non-members minus that on members, among the audited samples, in units of the loss."""
    table, level = version.table.audited, version.precision.level
    if not table.member.any() or table.member.all():
        return Unmeasured("there are no members, or nothing but members")
    losses = table.losses.astype(np.float64)
    members, non_members = (average_among(losses, each, level, table.groups) for each in (table.member, ~table.member))
    down = float(np.hypot(non_members.value - non_members.low, members.high - members.value))
    up = float(np.hypot(non_members.high - non_members.value, members.value - members.low))
    value = non_members.value - members.value
    return Estimate(value, value - down, value + up, level, f"non-members minus members; {members.method}")


LOSS_GAP = Measure[Estimate](
    name="loss_gap",
    title="Loss gap",
    sentence="How much larger the loss is on records that a model was not trained on than on those it was. It needs "
    "no predictions, so that it is known of versions of which only losses were given.",
    kind=Estimate,
    compute=loss_gap,
    better="lower",
    order=95,
    limits=("at_most",),
)
