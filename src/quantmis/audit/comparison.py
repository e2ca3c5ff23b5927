"""How the quantizers compare: their ranking with ties, agreement between measures, and the controls."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from quantmis.attacks import PairedReplicates
from quantmis.audit.analysis import Scored
from quantmis.errors import UserError
from quantmis.results import Agreement, Measured, QuantizerResult, Rank, Ranking
from quantmis.stats import Estimate, Unmeasured
from quantmis.stats.cluster import Linear
from quantmis.stats.compare import Difference, compare_metrics
from quantmis.stats.ranking import kendall

CRITERION = (
    "the accuracy of the strongest attacker, who gave the upper bound on security; compared in pairs, after Holm"
)
BETWEEN_TWINS = (
    "the exposure between twins (what moves towards the model trained on a sample, over all that moves), which orders "
    "better than attacks without reference models; compared in pairs, after Holm"
)


def ranking(scored: Sequence[Scored], level: float) -> Ranking:
    """Order the quantizers by what they give away, with ties where the data cannot tell.

    By what the strongest attacker gets out of them; where no attack had reference models, by exposure between twins, if
    there are twins.
    """
    if scored[0].table.about == "models" and not any(map(_referred, scored)):
        return _ranking({each.table.name: _exposure(each) for each in scored}, scored, level, BETWEEN_TWINS)
    right = {each.table.name: each.bound.right for each in scored if each.bound.right is not None}
    if len(right) < len(scored):
        return Ranking(criterion="not ranked: the upper bound on security was not measured", rows=[])
    return _ranking(right, scored, level, CRITERION)


def _ranking(metrics: dict[str, Linear], scored: Sequence[Scored], level: float, criterion: str) -> Ranking:
    pairs = compare_metrics(metrics, scored[0].table.audited.member, level)
    exposure = {name: metric.value for name, metric in metrics.items()}
    return Ranking(criterion=criterion, rows=rank(exposure, pairs, level))


def _referred(scored: Scored) -> bool:
    """Say whether an attack had reference models."""
    return any(not isinstance(scores, Unmeasured) for scores in scored.transfer.values())


def _exposure(scored: Scored) -> Linear:
    return PairedReplicates().movement(scored.table.audited)


def rank(exposure: dict[str, float], pairs: Sequence[Difference], level: float) -> list[Rank]:
    """Return the quantizers from the least `exposure`; a rank is 1 + how many quantizers expose less beyond doubt.

    `pairs` holds the difference of every two; they are tied where its adjusted p-value exceeds 1 - `level`.
    """
    tied = {name: list[str]() for name in exposure}
    beaten = dict.fromkeys(exposure, 0)
    for pair in pairs:
        if pair.adjusted > 1 - level:
            tied[pair.first].append(pair.second)
            tied[pair.second].append(pair.first)
        else:
            beaten[pair.first if pair.estimate.value > 0 else pair.second] += 1
    order = sorted(exposure, key=lambda name: (beaten[name], exposure[name]))
    return [Rank(rank=1 + beaten[name], name=name, tied=tied[name]) for name in order]


def agreement(quantizers: Sequence[QuantizerResult], level: float) -> list[Agreement]:
    """Say whether the indicator, MIS by flux and each attack order the quantizers alike."""
    measures = {
        "indicator": [each.indicator for each in quantizers],
        "security": [each.security for each in quantizers],
    }
    for name in quantizers[0].attacks:
        measures[name] = [_protection(each, name) for each in quantizers]
    return [
        Agreement(first=first, second=second, tau=_tau(measures[first], measures[second], level))
        for first, second in combinations(measures, 2)
    ]


def _protection(result: QuantizerResult, attack: str) -> Measured:
    adaptive = result.attacks[attack].adaptive
    if isinstance(adaptive, Unmeasured) or isinstance(adaptive.auc, Unmeasured):
        return Unmeasured("no AUC")
    return Estimate(-adaptive.auc.value, -adaptive.auc.high, -adaptive.auc.low)


def _tau(first: Sequence[Measured], second: Sequence[Measured], level: float) -> Measured:
    pairs = [
        (a.value, b.value)
        for a, b in zip(first, second, strict=True)
        if isinstance(a, Estimate) and isinstance(b, Estimate)
    ]
    if len(pairs) < len(first):
        return Unmeasured("one of the two was not measured for every quantizer")
    try:
        return kendall(np.array([a for a, _ in pairs]), np.array([b for _, b in pairs]), level)
    except UserError as error:
        return Unmeasured(str(error))
