"""From loss tables to the numbers of results.json: every one of them is a pure function of the tables."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from quantmis.attacks import Attack
from quantmis.audit.settings import Settings
from quantmis.audit.tables import Candidates, Table
from quantmis.errors import UserError
from quantmis.registry import spelling
from quantmis.results import (
    AttackMetrics,
    AttackResult,
    Curve,
    Measured,
    QuantizerResult,
    RateAt,
    UnresolvedAt,
    UpperBound,
    Utility,
)
from quantmis.stats import Bound, Estimate, Unmeasured, evaluate, security_upper_bound
from quantmis.stats.average import average
from quantmis.theory import indicator, security

Scores = Float[np.ndarray, "models samples"]

SECURITY_DRAWS = 4000
"""Few held-out samples, not few draws, limit what an audit knows of security."""

NO_REFERENCES = "the attack uses no reference models: adaptive and transfer are one"
FULL_PRECISION = "the target is in full precision itself: adaptive and transfer are one"


@dataclass(frozen=True, eq=False)
class Scored:
    """Hold the scores of every attack on one quantizer, by the name of the attack, and the bound that they give."""

    table: Table
    adaptive: dict[str, Scores]
    transfer: dict[str, Scores]
    bound: Bound


def score(table: Table, full_precision: Table, settings: Settings) -> Scored:
    """Run every attack on one quantizer: adaptive, and transfer from the full-precision models."""
    target, reference = table.audited, full_precision.audited
    transferring = [each for each in settings.attacks if each.uses_references and table is not full_precision]
    adaptive = {spelling(attack): attack.score(target) for attack in settings.attacks}
    transfer = {spelling(attack): attack.score(target, reference) for attack in transferring}
    return Scored(table, adaptive, transfer, _bound(table, settings, adaptive, transfer))


def describe(scored: Scored, settings: Settings) -> QuantizerResult:
    """Return everything that is said about one quantizer, except for how it compares with others."""
    table, traits = scored.table, scored.table.traits
    candidates = table.candidates(settings.replicates)
    return QuantizerResult(
        name=table.name,
        bits_per_weight=float(np.mean([each.bits_per_weight for each in traits])),
        sparsity=float(np.mean([each.sparsity for each in traits])),
        weights=traits[0].weights,
        untouched=list(traits[0].untouched),
        models=len(traits),
        distinct=len({each.fingerprint for each in traits}),
        table=table.path,
        table_digest=table.digest(),
        utility=_utility(table, settings.level),
        indicator=_indicator(candidates, settings),
        security=_security(candidates, int(table.evidence.member[0].sum()), settings),
        security_upper_bound=_upper_bound(scored.bound),
        attacks={spelling(attack): _attack(attack, scored, settings.level) for attack in settings.attacks},
    )


def _bound(table: Table, settings: Settings, adaptive: dict[str, Scores], transfer: dict[str, Scores]) -> Bound:
    bounding = {spelling(attack) for attack in settings.attacks if attack.bounds_security}
    named = {name: each for name, each in adaptive.items() if name in bounding}
    named |= {f"{name} (transfer)": each for name, each in transfer.items() if name in bounding}
    if not named:
        return Bound(Unmeasured("no attack of this audit bounds security"), "")
    return security_upper_bound(named, table.audited.member, settings.level, settings.seed)


def _utility(table: Table, level: float) -> Utility:
    mean = average(table.held_out_worth.astype(np.float64), table.evidence.member, level)
    return Utility(mean.value, mean.low, mean.high, mean.level, mean.method, metric=table.metric)


def _indicator(candidates: Candidates, settings: Settings) -> Measured:
    return _or_reason(
        lambda: indicator(candidates.losses, candidates.replicate, seed=settings.seed, level=settings.level)
    )


def _security(candidates: Candidates, n: int, settings: Settings) -> Measured:
    return _or_reason(
        lambda: security(candidates.losses, n, draws=SECURITY_DRAWS, seed=settings.seed, level=settings.level)
    )


def _or_reason(measure: Callable[[], Estimate]) -> Measured:
    """Measure, or say why not: with few held-out samples or a single quantized model the attacks still stand."""
    try:
        return measure()
    except UserError as error:
        return Unmeasured(str(error))


def _upper_bound(bound: Bound) -> UpperBound | Unmeasured:
    found = bound.security
    if isinstance(found, Unmeasured):
        return found
    return UpperBound(found.value, found.low, found.high, found.level, found.method, attack=bound.attack)


def _attack(attack: Attack, scored: Scored, level: float) -> AttackResult:
    name, member = spelling(attack), scored.table.audited.member
    adaptive = metrics(scored.adaptive[name], member, level)
    if name in scored.transfer:
        return AttackResult(adaptive=adaptive, transfer=metrics(scored.transfer[name], member, level))
    reason = FULL_PRECISION if attack.uses_references else NO_REFERENCES
    return AttackResult(adaptive=adaptive, transfer=Unmeasured(reason))


def metrics(scores: Scores, member: np.ndarray, level: float) -> AttackMetrics:
    """Return what the scores of one attack are worth, as results.json holds it."""
    found = evaluate(scores, member, level)
    return AttackMetrics(
        auc=found.auc,
        advantage=found.advantage,
        balanced_accuracy=found.balanced_accuracy,
        epsilon_low=found.epsilon_low,
        tpr=[_rate_at(fpr, rate) for fpr, rate in found.tpr.items()],
        roc=Curve(fpr=_drawn(found.fpr_points), tpr=_drawn(found.tpr_points)),
    )


def _drawn(rates: list[float]) -> list[float]:
    return [float(f"{rate:.5g}") for rate in rates]  # a picture needs no more, and the report stays small


def _rate_at(fpr: float, rate: Estimate | Unmeasured) -> RateAt | UnresolvedAt:
    if isinstance(rate, Unmeasured):
        return UnresolvedAt(rate.reason, fpr=fpr)
    return RateAt(rate.value, rate.low, rate.high, rate.level, rate.method, fpr=fpr)
