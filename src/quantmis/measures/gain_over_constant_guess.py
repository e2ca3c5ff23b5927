"""Whether a version learned anything: its utility against that of the best constant guess."""

import numpy as np

from quantmis.measures.measure import Measure
from quantmis.measures.scored import ScoredVersion
from quantmis.measures.utility import NO_PREDICTIONS
from quantmis.stats import Estimate, Unmeasured
from quantmis.stats.average import average, average_difference

MOST_LEFT = 0.2
"""How much of the gain of full precision may be left in a version that counts as knowing nothing."""

NO_GUESS = "the utility is of a kind that has no constant guess to be compared with"


def gain_over_constant_guess(version: ScoredVersion) -> Estimate | Unmeasured:
    """Return the utility minus that of the best constant guess on the same samples, paired.

    The guess is the most frequent class, or the mean of real targets, whose R^2 is 0.
    """
    table, level = version.table, version.precision.level
    utilities, label = table.held_out_utility, table.evidence.label
    if utilities is None or utilities.size == 0:
        return Unmeasured(NO_PREDICTIONS)
    if table.metric == "r2":
        return average(utilities.astype(np.float64), table.evidence.member, level, groups=table.held_out_groups)
    if table.metric != "accuracy" or label is None:
        return Unmeasured(NO_GUESS)
    classes = label[table.is_held_out]
    values, counts = np.unique(classes, return_counts=True)
    guess = np.broadcast_to((classes == values[counts.argmax()]).astype(np.float64), utilities.shape)
    groups = table.held_out_groups
    return average_difference(utilities.astype(np.float64), guess, table.evidence.member, level, groups=groups)


def lost_all(gain: Estimate | Unmeasured, full_precision: Estimate | Unmeasured) -> bool:
    """Say whether a version is not beyond doubt better than a constant guess though full precision is.

    It must have lost most of what full precision has over the guess too: with few models an interval is wide.
    """
    if isinstance(gain, Unmeasured) or isinstance(full_precision, Unmeasured):
        return False
    return gain.low <= 0 < full_precision.low and gain.value <= MOST_LEFT * full_precision.value


GAIN_OVER_CONSTANT_GUESS = Measure[Estimate](
    name="gain_over_constant_guess",
    title="Gain over a constant guess",
    sentence="The utility minus that of the best constant guess on the same records: the most frequent class, or the "
    "mean. A model that learned nothing gives nothing away.",
    kind=Estimate,
    compute=gain_over_constant_guess,
    unit="utility difference",
    better="higher",
    order=100,
    limits=("at_least",),
)
