"""What a version is worth on samples that it was not trained on."""

import numpy as np

from quantmis.measures.measure import Measure
from quantmis.measures.scored import ScoredVersion
from quantmis.stats import Estimate, Unmeasured
from quantmis.stats.average import average

NO_PREDICTIONS = "no predictions were given, only losses"


def utility(version: ScoredVersion) -> Estimate | Unmeasured:
    """Return the mean utility of predictions on held-out samples, in the metric of the task, higher is better."""
    table = version.table
    utilities = table.held_out_utility
    if utilities is None or utilities.size == 0:
        return Unmeasured(NO_PREDICTIONS)
    level = version.precision.level
    return average(
        utilities.astype(np.float64), table.evidence.member, level, table.held_out_weight, table.held_out_groups
    )


UTILITY = Measure[Estimate](
    name="utility",
    title="Utility",
    sentence="What a version is worth on records that no model was trained on: the share of right answers, R², or of "
    "a language model the mean log-likelihood of a token; higher is better.",
    kind=Estimate,
    compute=utility,
    unit="utility",
    better="higher",
    shown=frozenset({"ranking", "this model"}),
    order=20,
    limits=("at_least",),
    glossary=False,
)
