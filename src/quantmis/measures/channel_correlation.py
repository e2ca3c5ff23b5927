"""The correlation rho of a quantizer seen as a noisy channel: how much of a model's signal passes."""

import numpy as np
from jaxtyping import Bool

from quantmis.errors import UserError
from quantmis.evidence import where_any_is_shared
from quantmis.measures.distortion import NO_FULL_PRECISION
from quantmis.measures.measure import Measure
from quantmis.measures.scored import ScoredVersion
from quantmis.stats import Estimate, Unmeasured
from quantmis.stats.groups import numbers_of
from quantmis.tables import FULL_PRECISION, LossTable
from quantmis.theory.channel import Changes, correlation_estimate

MOST_MODELS = 16
NOT_PERTURBED = (
    "needs this version of a copy of the model whose weights were perturbed, and the version was not made from the "
    "weights in full precision by a quantizer of this audit"
)


def untrained(table: LossTable) -> Bool[np.ndarray, "models samples"]:
    """Return which samples each of the first models was not trained on; of a target only known non-members are."""
    member = table.evidence.member[:MOST_MODELS]
    return ~member & (table.is_audited | (table.is_held_out & (table.about == "models")))


def changes(version: ScoredVersion) -> Changes | Unmeasured:
    """Return how signals change between trainings or, of one model, when its weights are perturbed, as normal scores.

    Raises `UserError` where there are too few samples.
    """
    whole, table = version.full_precision.table, version.table
    if whole.name != FULL_PRECISION:
        return Unmeasured(NO_FULL_PRECISION)
    first, usable = slice(MOST_MODELS), untrained(table)
    own, after = (each.evidence.signals[first].astype(np.float64) for each in (whole, table))
    if table.about == "models" and len(usable) >= 2:
        return Changes.between(own, after, usable).normal_scores()
    if whole.perturbed is None or table.perturbed is None:
        return Unmeasured(NOT_PERTURBED)
    copy, copy_after = (each.astype(np.float64) for each in (whole.perturbed, table.perturbed))
    return Changes.within((own, copy), (after, copy_after), usable).normal_scores()


def channel_correlation(version: ScoredVersion) -> Estimate | Unmeasured:
    """Return rho with its interval, from samples that the models were not trained on."""
    try:
        moved = changes(version)
        if isinstance(moved, Unmeasured):
            return moved
        groups = version.table.evidence.groups
        numbers = numbers_of(None if groups is None else where_any_is_shared(groups), version.table.evidence.samples)
        return correlation_estimate(moved.correlation(), version.precision.level, numbers)
    except UserError as error:  # hardly any sample that models were not trained on
        return Unmeasured(str(error))


CHANNEL_CORRELATION = Measure[Estimate](
    name="channel_correlation",
    title="Signal that passes (rho)",
    sentence="How much of what training again would change in a model still shows after quantizing: 1 all of it, 0 "
    "nothing. What a quantizer lets through of that, it lets through of membership too, unless it spares members.",
    kind=Estimate,
    compute=channel_correlation,
    unit="number",
    span=(-1.0, 1.0),
    bounded=True,
    better="lower",
    shown=frozenset({"ranking", "this model"}),
    order=61,
    limits=("at_most",),
)
