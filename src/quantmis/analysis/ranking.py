"""How the versions of a model rank by what they give away, with ties where the data cannot tell."""

from collections.abc import Iterable, Mapping, Sequence

from quantmis.attacks import PairedReplicates
from quantmis.measures import ScoredVersion
from quantmis.results import Rank, Ranking
from quantmis.stats import Unmeasured
from quantmis.stats.cluster import Linear
from quantmis.stats.compare import Difference, compare_metrics

CRITERION = (
    "the accuracy of the strongest attacker, who gave the upper bound on security; compared in pairs, after Holm"
)
BETWEEN_TWINS = (
    "the AUC between twins (how often a record's signal rises from the model that was not trained on it to the one "
    "that was), which a version cannot change by looking otherwise; compared in pairs, variances moderated, after Holm"
)
TIES = "; where that leaves versions tied, the most distorted first"


def ranking(scored: Sequence[ScoredVersion], distortion: Mapping[str, float | Unmeasured], level: float) -> Ranking:
    """Order the quantizers by what they give away, with ties where the data cannot tell.

    By what the strongest attacker gets out of them; where no attack had reference models, by the AUC between twins, if
    there are twins. Those that cannot be told apart are listed by `distortion`, where it is known of all.
    """
    metrics, criterion = _metrics(scored)
    if len(metrics) < len(scored):
        return Ranking(criterion="not ranked: the upper bound on security was not measured", rows=[])
    table = scored[0].table
    pairs = compare_metrics(metrics, table.audited.member, level, table.audited_groups)
    exposure = _exposures(scored, metrics, criterion)
    known = {name: value for name, value in distortion.items() if isinstance(value, float)}
    if len(known) < len(exposure):
        return Ranking(criterion=criterion, rows=rank(exposure, pairs, level))
    return Ranking(criterion=criterion + TIES, rows=rank(exposure, pairs, level, known))


def _metrics(scored: Sequence[ScoredVersion]) -> tuple[dict[str, Linear], str]:
    """Return what the quantizers are ordered by, of each of which it was measured, and what it is called."""
    if scored[0].table.about == "models" and not any(map(_had_references, scored)):
        return {each.table.name: PairedReplicates().area(each.table.audited) for each in scored}, BETWEEN_TWINS
    return {each.table.name: each.bound.right for each in scored if each.bound.right is not None}, CRITERION


def _had_references(scored: ScoredVersion) -> bool:
    """Say whether an attack had reference models."""
    return any(not isinstance(scores, Unmeasured) for scores in scored.transfer.values())


def _exposures(scored: Sequence[ScoredVersion], metrics: Mapping[str, Linear], criterion: str) -> dict[str, float]:
    """Return by what versions are listed that are neither told apart nor differ in distortion."""
    if criterion == BETWEEN_TWINS:
        return {each.table.name: PairedReplicates().movement(each.table.audited).value for each in scored}
    return {name: metric.value for name, metric in metrics.items()}


def rank(
    exposure: Mapping[str, float],
    pairs: Sequence[Difference],
    level: float,
    distortion: Mapping[str, float] | None = None,
) -> list[Rank]:
    """Return the quantizers from the least exposed; a rank is 1 + how many quantizers expose less beyond doubt.

    `pairs` holds the difference of every two; they are tied where its adjusted p-value exceeds 1 - `level`. None is
    listed before one that exposes less beyond doubt; else the most distorted comes first, and of equals the one of less
    `exposure`.
    """
    tied, below = _ties(exposure, pairs, 1 - level)
    distortions = distortion or dict.fromkeys(exposure, 0.0)
    preferred = sorted(exposure, key=lambda name: (-distortions[name], exposure[name]))
    return [Rank(rank=1 + len(below[name]), name=name, tied=tied[name]) for name in _listed(preferred, below)]


def _ties(
    names: Iterable[str], pairs: Sequence[Difference], most: float
) -> tuple[dict[str, list[str]], dict[str, set[str]]]:
    """Return with which others each is tied, and which expose less beyond doubt."""
    tied, below = {name: list[str]() for name in names}, {name: set[str]() for name in names}
    for pair in pairs:
        if pair.adjusted > most:
            tied[pair.first].append(pair.second)
            tied[pair.second].append(pair.first)
        else:
            more, less = (pair.first, pair.second)[:: 1 if pair.estimate.value > 0 else -1]
            below[more].add(less)
    return tied, below


def _listed(preferred: Sequence[str], below: Mapping[str, set[str]]) -> list[str]:
    """Return names in the order preferred, but each after all that must stand `below` it."""
    left, listed = list(preferred), list[str]()
    while left:
        listed.append(next(name for name in left if below[name].issubset(listed)))
        left.remove(listed[-1])
    return listed
