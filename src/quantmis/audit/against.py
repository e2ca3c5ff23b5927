"""What quantizing changed: a version against full precision, over the same models and samples."""

import numpy as np
from jaxtyping import Bool

from quantmis.audit.fit import NO_PREDICTIONS
from quantmis.tables.loss_table import Table
from quantmis.errors import UserError
from quantmis.quantizers.identity import Identity
from quantmis.results import Measured
from quantmis.stats import Bound, Unmeasured, distortion
from quantmis.stats.average import average_difference
from quantmis.stats.cluster import pair_id
from quantmis.stats.compare import difference
from quantmis.stats.distortion import MOST_MODELS

ITSELF = "this is full precision itself"
FIRST = slice(MOST_MODELS)
NO_FULL_PRECISION = "compares with full precision, which this audit does not have"


def change(bound: Bound, whole: Bound, member: Bool[np.ndarray, "models samples"], level: float) -> Measured:
    """Return how much more often the strongest attacker is right, given the bounds that this attacker gave."""
    if bound is whole:
        return Unmeasured(ITSELF)
    if bound.right is None or whole.right is None:
        return Unmeasured("the upper bound on security was not measured")
    return difference(bound.right, whole.right, pair_id(member), level)[0]


def utility_change(table: Table, whole: Table, level: float) -> Measured:
    """Return the utility less that of full precision."""
    per_sample_utility, before = table.held_out_utility, whole.held_out_utility
    if table is whole:
        return Unmeasured(ITSELF)
    if per_sample_utility is None or before is None or per_sample_utility.size == 0:
        return Unmeasured(NO_PREDICTIONS)
    both = per_sample_utility.astype(np.float64), before.astype(np.float64)
    return average_difference(*both, table.evidence.member, level, table.held_out_weight)


def upset(table: Table, whole: Table) -> float | Unmeasured:
    """Return the distortion of what models make of samples that they were not trained on."""
    if whole.name != Identity.name:
        return Unmeasured(NO_FULL_PRECISION)
    try:
        return distortion(*(each.evidence.rows(FIRST).columns(~each.is_canary) for each in (whole, table)))
    except UserError as error:  # hardly any sample that a model was not trained on
        return Unmeasured(str(error))
