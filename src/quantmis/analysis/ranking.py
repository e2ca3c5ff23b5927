"""How the versions of a model rank by what they give away, with ties where the data cannot tell."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from quantmis.attacks import PairedReplicates
from quantmis.measures import ScoredVersion
from quantmis.measures.scored import carried_out
from quantmis.results import Rank, Ranking
from quantmis.stats import Estimate, Unmeasured, simultaneous, worse_than_best
from quantmis.stats.cluster import Linear
from quantmis.stats.compare import Difference, compare_metrics

CRITERION = (
    "the accuracy of the strongest attacker, who gave the upper bound on security; compared in pairs, after Holm"
)
BETWEEN_TWINS = (
    "the AUC between twins (how often a record's signal rises from the model that was not trained on it to the one "
    "that was), which a version cannot change by looking otherwise; compared in pairs, variances moderated, after Holm"
)
MOST_MORE = 0.5
"""Between a coin and certainty."""

TIES = "; where that leaves versions tied, the most distorted first"
TIES_BY_CHANNEL = "; where that leaves versions tied, those that let least of the signal pass first"


def ranking(
    scored: Sequence[ScoredVersion],
    distortion: Mapping[str, float | Unmeasured],
    level: float,
    passing: Mapping[str, float | Unmeasured] | None = None,
) -> Ranking:
    """Order the quantizers by what they give away, with ties where the data cannot tell.

    By what the strongest attacker gets out of them; where no attack had reference models, by the AUC between twins, if
    there are twins. Those that cannot be told apart are listed by how little of the signal is `passing` or, where that
    is not known of all, by `distortion`.
    """
    metrics, criterion = _metrics(scored)
    if len(metrics) < len(scored):
        return Ranking(criterion="not ranked: the upper bound on security was not measured", rows=[])
    table = scored[0].table
    pairs = compare_metrics(metrics, table.audited.member, level, table.audited_groups)
    exposure = _exposures(scored, metrics, criterion)
    upset, ties = _among_ties(distortion, passing or {}, len(exposure))
    rows = rank(exposure, pairs, level, upset)
    return Ranking(criterion=criterion + ties, rows=_for_choice(rows, scored, level))


def _among_ties(
    distortion: Mapping[str, float | Unmeasured], passing: Mapping[str, float | Unmeasured], versions: int
) -> tuple[dict[str, float] | None, str]:
    """Return by what versions are listed that are tied, the largest first, and its words."""
    withheld = {name: 1 - value for name, value in passing.items() if isinstance(value, float)}
    if len(withheld) == versions:
        return withheld, TIES_BY_CHANNEL
    distortions = {name: value for name, value in distortion.items() if isinstance(value, float)}
    return (distortions, TIES) if len(distortions) == versions else (None, "")


def _for_choice(rows: list[Rank], scored: Sequence[ScoredVersion], level: float) -> list[Rank]:
    """Return the rows with what holds of a version that is chosen for what is known of all of them."""
    rights = {each.table.name: each.bound.right for each in scored if each.bound.right is not None}
    alone = {each.table.name: each.bound.accuracy for each in scored}
    if len(rights) < len(scored):
        return rows
    table = scored[0].table
    member, groups = table.audited.member, table.audited_groups
    together = simultaneous(rights, member, level, groups)
    most = worse_than_best(rights, member, level, groups)
    return [
        each.model_copy(
            update={
                "chosen": _wider(together[each.name], alone[each.name]),
                "at_most_more": min(most[each.name], MOST_MORE),
            }
        )
        for each in rows
    ]


def _wider(together: Estimate, alone: Estimate | Unmeasured) -> Estimate:
    """Return the interval of all together, as low as that of one, which has paid for the choice of its threshold."""
    low = together.low if isinstance(alone, Unmeasured) else min(together.low, alone.low)
    return replace(together, low=low)


def _metrics(scored: Sequence[ScoredVersion]) -> tuple[dict[str, Linear], str]:
    """Return what the quantizers are ordered by, of each of which it was measured, and what it is called."""
    if scored[0].table.about == "models" and not any(map(_had_references, scored)):
        return {each.table.name: PairedReplicates().area(each.table.audited) for each in scored}, BETWEEN_TWINS
    return {each.table.name: each.bound.right for each in scored if each.bound.right is not None}, CRITERION


def _had_references(scored: ScoredVersion) -> bool:
    """Say whether an attack had reference models."""
    return any(True for _ in carried_out(scored.transfer))


def _exposures(scored: Sequence[ScoredVersion], metrics: Mapping[str, Linear], criterion: str) -> dict[str, float]:
    """Return by what versions are listed that are neither told apart nor differ in distortion."""
    if criterion == BETWEEN_TWINS:
        return {each.table.name: PairedReplicates().movement(each.table.audited).value for each in scored}
    return {name: metric.value for name, metric in metrics.items()}


def contradicted(scored: Sequence[ScoredVersion], level: float) -> list[tuple[str, str]]:
    """Return pairs of versions that exposure tells apart beyond doubt and the AUC between twins orders otherwise.

    The first is less exposed by exposure. Of the orders that are stated by the AUC between twins; none otherwise.
    """
    if not scored or scored[0].table.about != "models" or any(map(_had_references, scored)):
        return []
    twins, tables = PairedReplicates(), {each.table.name: each.table.audited for each in scored}
    table = scored[0].table
    moved, areas = ({name: of(each) for name, each in tables.items()} for of in (twins.movement, twins.area))
    apart = [
        pair
        for pair in compare_metrics(moved, table.audited.member, level, table.audited_groups)
        if pair.adjusted <= 1 - level
        and pair.estimate.value * (areas[pair.first].value - areas[pair.second].value) <= 0
    ]
    return [(each.second, each.first) if each.estimate.value > 0 else (each.first, each.second) for each in apart]


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
    rest, listed = list(preferred), list[str]()
    while rest:
        listed.append(next(name for name in rest if below[name].issubset(listed)))
        rest.remove(listed[-1])
    return listed
