"""Decisions whose threshold was chosen on one half of the samples and is applied to the other, both ways.

The best threshold found on the very entries that measure it makes any attack look better than it is, and noise look
like an attack. So the samples are divided into two like halves; each half is judged by the threshold (or by the
attack and threshold) that was best on the other. The rates of these decisions are honest about the choice.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float

from quantmis.seeds import generator
from quantmis.stats.cluster import Linear
from quantmis.stats.roc import FALSE_POSITIVES_NEEDED, Tally, subset

Choose = Callable[[Tally], int]


def halves(
    scores: Float[np.ndarray, "models samples"], member: Bool[np.ndarray, "models samples"], seed: int = 0
) -> Bool[np.ndarray, " samples"]:
    """Divide the samples into two like halves at random; their order does not matter.

    Samples are ranked by how many models were trained on them and by their mean score, and the two of each
    neighbouring pair are sent to different halves by a coin.
    """
    stream, scores = generator(seed, "halves"), np.ascontiguousarray(scores)  # so that sums add in the same order
    mixed = (stream.normal(size=(len(scores), 1)) * scores).sum(0)  # tells apart samples that tie in the mean
    rank = np.empty(scores.shape[1], dtype=int)
    rank[np.lexsort((mixed, scores.sum(0), member.sum(0)))] = np.arange(scores.shape[1])
    coins = stream.random(len(rank) // 2 + 1) < 0.5
    return (rank % 2 == 1) ^ coins[rank // 2]


def decide(
    counts: Tally, member: Bool[np.ndarray, "models samples"], half: Bool[np.ndarray, " samples"], choose: Choose
) -> Bool[np.ndarray, "models samples"]:
    """Accept as members the entries at or above the level that `choose` picks on the other half."""
    accepted = np.empty(member.shape, dtype=bool)
    for side in (half, ~half):
        accepted[:, side] = counts.level[:, side] <= choose(subset(counts, member, ~side))
    return accepted


def best_advantage(counts: Tally) -> int:
    """Return the level whose acceptance has the largest true minus false positive rate."""
    fpr, tpr = counts.rates
    return int(np.argmax(tpr - fpr))


def best_epsilon(counts: Tally) -> int:
    """Return the level with the largest log(TPR / FPR), less two of its standard errors; -1 where none resolves."""
    members, non_members = counts.trials
    hits, alarms = counts.members.cumsum(), counts.non_members.cumsum()
    resolved = np.flatnonzero(
        (alarms >= FALSE_POSITIVES_NEEDED) & (hits >= FALSE_POSITIVES_NEEDED) & (alarms < non_members)
    )
    if len(resolved) == 0:
        return -1
    hits, alarms = hits[resolved], alarms[resolved]
    error = np.sqrt(1 / hits - 1 / members + 1 / alarms - 1 / non_members)
    return int(resolved[np.argmax(np.log(hits / members) - np.log(alarms / non_members) - 2 * error)])


def rates(
    accepted: Bool[np.ndarray, "models samples"], member: Bool[np.ndarray, "models samples"]
) -> tuple[Linear, Linear]:
    """Return the true and the false positive rate of decisions, each with influences."""
    return _rate(accepted, member), _rate(accepted, ~member)


def _rate(accepted: Bool[np.ndarray, "models samples"], among: Bool[np.ndarray, "models samples"]) -> Linear:
    value = accepted[among].mean()
    return Linear(float(value), np.where(among, accepted - value, 0.0) / among.sum())
