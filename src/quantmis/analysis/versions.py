"""From loss tables to the numbers of results.json: every one of them is a pure function of the tables."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from quantmis.attacks import Attack
from quantmis.audit import against, canaries, fit
from quantmis.audit.options import Settings
from quantmis.tables.loss_table import Table
from quantmis.errors import UserError
from quantmis.evidence import Evidence
from quantmis.registry import spelling
from quantmis.results import (
    LIKELIHOOD,
    AttackMetrics,
    AttackResult,
    ClassExposure,
    Curve,
    Measured,
    VersionResult,
    RateAt,
    SampleExposure,
    UnresolvedAt,
    UpperBound,
    Utility,
)
from quantmis.stats import Bound, Estimate, Unmeasured, by_class, evaluate, most_exposed, security_upper_bound
from quantmis.stats.average import average
from quantmis.theory import indicator, security

Scores = Float[np.ndarray, "models samples"]

SECURITY_DRAWS = 4000
"""Few held-out samples, not few draws, limit what an audit knows of security."""

MOST_CLASSES = 100
SHOWN = 10

NO_REFERENCES = "the attack uses no reference models: adaptive and transfer are one"
FULL_PRECISION = "the target is in full precision itself: adaptive and transfer are one"
NO_TRAINING = "compares several trainings of a model, and this is one model"
NO_REFERENCE_MODELS = "needs reference models, which an audit without training does not have"
NOT_LIKE_THIS = "no reference model was quantized like this version: say which quantizer it is `like`"
UNKNOWN = "not known of a version that was quantized elsewhere"


@dataclass(frozen=True, eq=False)
class References:
    """Hold the attacker's own models: `adaptive` went through the target's quantizer, `transfer` are full precision.

    None of `adaptive` stands for the other rows of the target's own table, where it holds the models of the audit.
    """

    adaptive: Evidence | Unmeasured | None = None
    transfer: Evidence | None = None


@dataclass(frozen=True, eq=False)
class Scored:
    """Hold the scores of every attack on one quantizer, by the name of the attack, and the bound that they give.

    An attack that could not be carried out has the reason in place of its scores.
    """

    table: Table
    adaptive: dict[str, Scores | Unmeasured]
    transfer: dict[str, Scores | Unmeasured]
    bound: Bound


def score(table: Table, references: References, settings: Settings) -> Scored:
    """Run every attack on one quantizer, adaptive and as transfer from full-precision models."""
    adaptive = {spelling(attack): _adaptive(attack, table, references) for attack in settings.attacks}
    transfer = {spelling(attack): _transfer(attack, table, references) for attack in settings.attacks}
    return Scored(table, adaptive, transfer, _bound(table, settings, adaptive, transfer))


def _adaptive(attack: Attack, table: Table, references: References) -> Scores | Unmeasured:
    if attack.uses_references and isinstance(references.adaptive, Unmeasured):
        return references.adaptive
    reference = None if isinstance(references.adaptive, Unmeasured) else references.adaptive
    return _tried(attack, table, reference)


def _transfer(attack: Attack, table: Table, references: References) -> Scores | Unmeasured:
    if not attack.uses_references:
        return Unmeasured(NO_REFERENCES)
    if references.transfer is None:
        return references.adaptive if isinstance(references.adaptive, Unmeasured) else Unmeasured(FULL_PRECISION)
    return _tried(attack, table, references.transfer)


def _tried(attack: Attack, table: Table, reference: Evidence | None) -> Scores | Unmeasured:
    """Attack; on the one model that was given, an attack that cannot be carried out says why."""
    if table.about == "models":
        return attack.score(table.audited, reference)
    try:
        return attack.score(table.audited, reference)
    except UserError as error:
        return Unmeasured(str(error))


def describe(scored: Scored, whole: Scored, settings: Settings, ids: np.ndarray | None = None) -> VersionResult:
    """Return all that is said about one quantizer but its rank; `whole` is full precision, `ids` names samples."""
    table, traits = scored.table, scored.table.traits
    return VersionResult(
        name=table.name,
        bits_per_weight=_mean([each.bits_per_weight for each in traits]),
        sparsity=_mean([each.sparsity for each in traits]),
        weights=Unmeasured(UNKNOWN) if traits[0].weights is None else traits[0].weights,
        untouched=list(traits[0].untouched),
        models=len(traits),
        distinct=len({each.fingerprint for each in traits}),
        table=table.path,
        table_digest=table.digest(),
        utility=_utility(table, settings.level),
        indicator=_of_candidates(table, settings, _indicator),
        security=_of_candidates(table, settings, _security),
        security_upper_bound=_upper_bound(scored.bound),
        attacks={spelling(attack): _attack(spelling(attack), scored, settings.level) for attack in settings.attacks},
        change=against.change(scored.bound, whole.bound, table.audited.member, settings.level),
        utility_change=against.utility_change(table, whole.table, settings.level),
        distortion=against.upset(table, whole.table),
        by_class=_by_class(scored, settings),
        most_exposed=_most_exposed(scored, settings, ids),
        canaries=canaries.memory(table, settings.level),
        gain_over_constant_guess=fit.gain_over_constant_guess(table, settings.level),
        gap=fit.gap(table, settings.level),
    )


def _mean(values: Sequence[float | None]) -> float | Unmeasured:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else Unmeasured(UNKNOWN)


def _bound(table: Table, settings: Settings, *forms: Mapping[str, Scores | Unmeasured]) -> Bound:
    bounding = {spelling(attack) for attack in settings.attacks if attack.bounds_security}
    named = {
        name + suffix: scores
        for form, suffix in zip(forms, ("", " (transfer)"), strict=True)
        for name, scores in form.items()
        if name in bounding and not isinstance(scores, Unmeasured)
    }
    if not named:
        return Bound(Unmeasured("no attack of this audit bounds security"), "")
    return security_upper_bound(named, table.audited.member, settings.level, settings.seed)


def _utility(table: Table, level: float) -> Utility | Unmeasured:
    per_sample_utility = table.held_out_utility
    if per_sample_utility is None or per_sample_utility.size == 0:
        return Unmeasured(fit.NO_PREDICTIONS)
    mean = average(per_sample_utility.astype(np.float64), table.evidence.member, level, table.held_out_weight)
    perplexity = _perplexity(mean) if table.metric == LIKELIHOOD else None
    return Utility(mean.value, mean.low, mean.high, mean.level, mean.method, metric=table.metric, perplexity=perplexity)


def _perplexity(likelihood: Estimate) -> Estimate:
    """Return exp of the negated log-likelihood of a token, which turns the ends of its interval round."""
    value, low, high = (math.exp(-each) for each in (likelihood.value, likelihood.high, likelihood.low))
    return Estimate(value, low, high, likelihood.level, likelihood.method)


def foremost(attacks: Sequence[Attack]) -> Attack:
    """Return the attack that single numbers are told by: one that bounds security, with references where possible."""
    bounding = [attack for attack in attacks if attack.bounds_security] or list(attacks)
    return max(bounding, key=lambda attack: attack.uses_references)


def _foremost_scores(scored: Scored, settings: Settings) -> Scores | Unmeasured:
    """Return the scores that exposure is told by: of the foremost attack, or of another where that was not possible."""
    lead = scored.adaptive[spelling(foremost(settings.attacks))]
    possible = [lead, *(each for each in scored.adaptive.values() if not isinstance(each, Unmeasured))]
    return next((each for each in possible if not isinstance(each, Unmeasured)), lead)


def _by_class(scored: Scored, settings: Settings) -> list[ClassExposure] | Unmeasured:
    scores, audited = _foremost_scores(scored, settings), scored.table.audited
    if isinstance(scores, Unmeasured):
        return scores
    if audited.label is None:
        return Unmeasured("the samples have no classes")
    if len(np.unique(audited.label)) > MOST_CLASSES:
        return Unmeasured(f"there are more than {MOST_CLASSES} classes")
    found = by_class(scores, audited.member, audited.label, settings.level)
    return [ClassExposure(label=label, auc=auc) for label, auc in found.items()]


def _most_exposed(scored: Scored, settings: Settings, ids: np.ndarray | None) -> list[SampleExposure] | Unmeasured:
    scores = _foremost_scores(scored, settings)
    if isinstance(scores, Unmeasured):
        return scores
    found = most_exposed(scores, scored.table.audited.member, SHOWN, settings.level)
    if isinstance(found, Unmeasured):
        return found
    rows = np.flatnonzero(scored.table.is_audited)[[each.sample for each in found]].tolist()
    return [
        SampleExposure(sample=row, id=str(row if ids is None else ids[row]), exposure=each.exposure)
        for row, each in zip(rows, found, strict=True)
    ]


def _of_candidates(table: Table, settings: Settings, measure: "Callable[[Table, Settings], Estimate]") -> Measured:
    if table.about == "target" or settings.replicates == 0:
        return Unmeasured(NO_TRAINING)
    return _or_reason(lambda: measure(table, settings))


def _indicator(table: Table, settings: Settings) -> Estimate:
    candidates = table.candidates(settings.replicates)
    return indicator(candidates.losses, candidates.replicate, seed=settings.seed, level=settings.level)


def _security(table: Table, settings: Settings) -> Estimate:
    losses, n = table.candidates(settings.replicates).losses, int(table.evidence.member[0].sum())
    return security(losses, n, draws=SECURITY_DRAWS, seed=settings.seed, level=settings.level)


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


def _attack(name: str, scored: Scored, level: float) -> AttackResult:
    member = scored.table.audited.member

    def told(scores: Scores | Unmeasured) -> AttackMetrics | Unmeasured:
        return scores if isinstance(scores, Unmeasured) else metrics(scores, member, level)

    return AttackResult(adaptive=told(scored.adaptive[name]), transfer=told(scored.transfer[name]))


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
