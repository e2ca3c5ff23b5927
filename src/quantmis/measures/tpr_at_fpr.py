"""The true positive rate of one attack at low false positive rates (Carlini et al. 2022)."""

from collections.abc import Mapping
from dataclasses import dataclass

from quantmis.measures.measure import Measure, Number
from quantmis.measures.scored import AttackOutcome
from quantmis.stats import Estimate, Unmeasured


@dataclass(frozen=True, kw_only=True)
class RateAt(Estimate):
    """Hold the true positive rate of an attack at the false positive rate `fpr`."""

    fpr: float


@dataclass(frozen=True, kw_only=True)
class UnresolvedAt(Unmeasured):
    """Say why there is no true positive rate at the false positive rate `fpr`."""

    fpr: float


def tpr_at_fpr(outcome: AttackOutcome) -> list[RateAt | UnresolvedAt]:
    """Return the share of members found at each false positive rate that the non-members can resolve."""
    return [_at(fpr, rate) for fpr, rate in outcome.metrics.tpr.items()]


def _at(fpr: float, rate: Estimate | Unmeasured) -> RateAt | UnresolvedAt:
    if isinstance(rate, Unmeasured):
        return UnresolvedAt(rate.reason, fpr=fpr)
    return RateAt(rate.value, rate.low, rate.high, rate.level, rate.method, fpr=fpr)


def _numbers(rates: list[RateAt | UnresolvedAt]) -> Mapping[str, Number]:
    return {f"_{rate.fpr:g}": Unmeasured(rate.reason) if isinstance(rate, UnresolvedAt) else rate for rate in rates}


TPR_AT_FPR = Measure[list[RateAt | UnresolvedAt]](
    name="tpr_at_fpr",
    title="Members found at few false alarms (TPR at low FPR)",
    sentence="The share of members an attacker finds (TPR) while wrongly accusing 1 % of the non-members (FPR), or "
    "another small share. It shows whether a few records are much more exposed than the average.",
    kind=list[RateAt | UnresolvedAt],
    compute=tpr_at_fpr,
    subject="attack",
    unit="share",
    span=(0.0, 1.0),
    bounded=True,
    better="lower",
    shown=frozenset({"attacks"}),
    order=240,
    numbers=_numbers,
)
