"""What quantizing changed of the utility."""

import numpy as np

from quantmis.measures.attack_accuracy_change import ITSELF
from quantmis.measures.measure import Measure
from quantmis.measures.scored import ScoredVersion
from quantmis.measures.utility import NO_PREDICTIONS
from quantmis.stats import Estimate, Unmeasured
from quantmis.stats.average import average_difference


def utility_change(version: ScoredVersion) -> Estimate | Unmeasured:
    """Return the utility minus that of full precision, paired over models and samples."""
    table, reference = version.table, version.full_precision.table
    if version.is_full_precision:
        return Unmeasured(ITSELF)
    after, before = table.held_out_utility, reference.held_out_utility
    if after is None or before is None or after.size == 0:
        return Unmeasured(NO_PREDICTIONS)
    both = after.astype(np.float64), before.astype(np.float64)
    member, level = table.evidence.member, version.precision.level
    return average_difference(*both, member, level, table.held_out_weight, table.held_out_groups)


UTILITY_CHANGE = Measure[Estimate](
    name="utility_change",
    title="Utility against full precision",
    sentence="The utility minus that of full precision, compared on the same models and samples.",
    kind=Estimate,
    compute=utility_change,
    unit="utility difference",
    better="higher",
    order=80,
    limits=("at_least",),
    glossary=False,
)
