"""The records of one version and of a release set: every measure of it, and what each attack achieved."""

from typing import Any

from quantmis.measures import AttackOutcome, ScoredRelease, ScoredVersion, measures_of
from quantmis.measures.scored import Scores
from quantmis.results import AttackMetrics, AttackResult, Curve, ReleaseResult, VersionResult
from quantmis.stats import Unmeasured


def describe(version: ScoredVersion) -> VersionResult:
    """Return all that is said about one version but its rank."""
    table, traits = version.table, version.table.traits
    return VersionResult(
        name=table.name,
        untouched=list(traits[0].untouched),
        models=len(traits),
        distinct=len({each.fingerprint for each in traits}),
        table=table.path,
        table_digest=table.digest(),
        utility_metric=table.metric,
        strongest_attack=version.bound.attack,
        measures=_measured("version", version),
        attacks={name: _attack(name, version) for name in version.adaptive},
    )


def describe_release(release: ScoredRelease) -> ReleaseResult:
    """Return all that is said about versions that are released together."""
    return ReleaseResult(
        versions=list(release.names),
        strongest_attack=release.together.attack,
        strongest_alone=release.alone.attack,
        measures=_measured("release set", release),
        attacks={name: _of_release(scores, release) for name, scores in release.joint.items()},
    )


def _measured(subject: Any, scored: ScoredVersion | ScoredRelease | AttackOutcome) -> dict[str, Any]:
    values = {name: measure.compute(scored) for name, measure in measures_of(subject).items()}
    return {name: value for name, value in values.items() if value is not None}


def _attack(name: str, version: ScoredVersion) -> AttackResult:
    forms = (version.adaptive[name], version.transfer[name])
    each_other = name in version.refer and version.table.about == "models"
    adaptive, transfer = (_outcome(scores, version, each_other) for scores in forms)
    return AttackResult(adaptive=adaptive, transfer=transfer)


def _outcome(scores: Scores | Unmeasured, version: ScoredVersion, each_other: bool) -> AttackMetrics | Unmeasured:
    if isinstance(scores, Unmeasured):
        return scores
    table = version.table
    return _metrics(
        AttackOutcome(scores, table.audited.member, version.precision.level, table.audited_groups, each_other)
    )


def _of_release(scores: Scores | Unmeasured, release: ScoredRelease) -> AttackMetrics | Unmeasured:
    if isinstance(scores, Unmeasured):
        return scores
    return _metrics(AttackOutcome(scores, release.member, release.level, release.groups, release.each_other))


def _metrics(outcome: AttackOutcome) -> AttackMetrics:
    curve = Curve(fpr=_for_drawing(outcome.metrics.fpr_points), tpr=_for_drawing(outcome.metrics.tpr_points))
    return AttackMetrics(measures=_measured("attack", outcome), roc=curve)


def _for_drawing(rates: list[float]) -> list[float]:
    return [float(f"{rate:.5g}") for rate in rates]  # a picture needs no more, and the report stays small
