"""How a model fits, as far as its loss table tells: against a constant guess, and on members against the others."""

import numpy as np

from quantmis.tables.loss_table import Table
from quantmis.results import Measured
from quantmis.stats import Estimate, Unmeasured
from quantmis.stats.average import average, average_among, average_difference

NO_PREDICTIONS = "no predictions were given, only losses"
NO_GUESS = "the utility is of a kind that has no constant guess to be compared with"


def gain_over_constant_guess(table: Table, level: float) -> Measured:
    """Return the utility minus that of the best constant guess on the same samples, paired.

    The guess is the most frequent class, or the mean of real targets, whose R^2 is 0.
    """
    per_sample_utility, label = table.held_out_utility, table.evidence.label
    if per_sample_utility is None or per_sample_utility.size == 0:
        return Unmeasured(NO_PREDICTIONS)
    if table.metric == "r2":
        return average(per_sample_utility.astype(np.float64), table.evidence.member, level)
    if table.metric != "accuracy" or label is None:
        return Unmeasured(NO_GUESS)
    seen = label[table.is_held_out]
    values, counts = np.unique(seen, return_counts=True)
    guess = np.broadcast_to((seen == values[counts.argmax()]).astype(np.float64), per_sample_utility.shape)
    return average_difference(per_sample_utility.astype(np.float64), guess, table.evidence.member, level)


def gap(table: Table, level: float) -> Measured:
    """Return what predictions are worth on members minus what they are worth on the others, where attacks are tried."""
    member = table.audited.member
    if table.per_sample_utility is None:
        return Unmeasured(NO_PREDICTIONS)
    if not member.any() or member.all():
        return Unmeasured("there are no members, or nothing but members")
    per_sample_utility = table.per_sample_utility[:, table.is_audited].astype(np.float64)
    inside, outside = (average_among(per_sample_utility, each, level) for each in (member, ~member))
    down = float(np.hypot(inside.value - inside.low, outside.high - outside.value))
    up = float(np.hypot(inside.high - inside.value, outside.value - outside.low))
    value = inside.value - outside.value
    return Estimate(value, value - down, value + up, level, f"members minus others; {inside.method}")
