"""Decisions whose threshold was chosen on one half of the samples and is applied to the other, both ways.

The best threshold found on the very entries that measure it makes any attack look better than it is, and noise look
like an attack. So the samples are divided at random into two halves; each half is judged by the threshold and the
direction (or by the attack, threshold and direction) that were best on the other. A division that makes the halves
alike in their scores would carry the over-fitting over: the halves know nothing of scores, but hold as many members.

Choosing costs something all the same. Where nothing leaks, both halves now and then choose the same place by chance,
and then both measure high: the mean of the two is no normal variable. `CHOICE` more standard errors pay for that; the
price fades where an attack stands out so far that its threshold is hardly a choice.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from quantmis.seeds import generator
from quantmis.stats.cluster import Linear
from quantmis.stats.groups import group_numbers
from quantmis.stats.roc import FALSE_POSITIVES_NEEDED, Tally, subset

CHOICE = 0.5
"""Standard errors: P(z > 1.96) is .052 to .059 where nothing leaks, P(z > 2.46) .022 to .025 (100 to 4,000 samples)."""


class Threshold(NamedTuple):
    """Hold what is taken for a member: the distinct scores up to position `level`, or reversed all others."""

    level: int
    is_reversed: bool = False

    def accepts(self, levels: Int[np.ndarray, "models samples"]) -> Bool[np.ndarray, "models samples"]:
        """Say which entries, given as positions among the distinct scores, are taken for members."""
        return (levels <= self.level) ^ self.is_reversed


Choose = Callable[[Tally], Threshold]


def halves(
    scores: Float[np.ndarray, "models samples"],
    member: Bool[np.ndarray, "models samples"],
    seed: int = 0,
    groups: Shaped[np.ndarray, " samples"] | None = None,
) -> Bool[np.ndarray, " samples"]:
    """Divide the samples into two halves at random, each with as many samples of as many models; order is no matter.

    The coin of a sample is a hash of its scores in single precision, so that it follows the sample wherever it stands
    and yet knows nothing of how high the scores are; equal samples have coins of their own. Samples of one group are in
    one half.

    >>> half = halves(np.arange(8.0)[None], np.arange(8)[None] < 4)
    >>> int(half[:4].sum()), int(half[4:].sum())
    (2, 2)
    """
    samples = scores.shape[1]
    numbers = np.arange(samples) if groups is None else group_numbers(groups, samples)
    coins = np.zeros(int(numbers.max()) + 1, dtype=np.uint64)
    np.add.at(coins, numbers, _hashes(scores, member, seed))
    trained = np.zeros(len(coins), dtype=int)
    trained[numbers] = member.sum(0)
    rank = np.empty(len(coins), dtype=int)
    rank[np.lexsort((_untied(coins), trained))] = np.arange(len(coins))
    return (rank % 2 == 1)[numbers]


def decide(
    counts: Tally, member: Bool[np.ndarray, "models samples"], half: Bool[np.ndarray, " samples"], choose: Choose
) -> Bool[np.ndarray, "models samples"]:
    """Accept as members what the threshold that `choose` picks on the other half takes for members."""
    accepted = np.empty(member.shape, dtype=bool)
    for side in (half, ~half):
        accepted[:, side] = choose(subset(counts, member, ~side)).accepts(counts.level[:, side])
    return accepted


def best_advantage(counts: Tally) -> Threshold:
    """Return the threshold and direction of the largest true minus false positive rate."""
    return largest_advantage(counts)[1]


def largest_advantage(counts: Tally) -> tuple[float, Threshold]:
    """Return the largest true minus false positive rate of any threshold in either direction, and where it is."""
    fpr, tpr = counts.rates
    gaps = tpr - fpr
    best = int(np.argmax(np.abs(gaps)))
    return float(abs(gaps[best])), Threshold(best, bool(gaps[best] < 0))


def best_epsilon(counts: Tally) -> Threshold:
    """Return where log(TPR / FPR), less two of its standard errors, is largest in either direction.

    Position -1, which accepts nothing, where none resolves.
    """
    members, non_members = counts.trials
    hits, alarms = counts.members.cumsum(), counts.non_members.cumsum()
    ways = ((hits, alarms, False), (members - hits, non_members - alarms, True))
    tried = [_epsilon_of(*way, members, non_members) for way in ways]
    return max(tried, key=lambda each: each[0])[1]


def _epsilon_of(
    hits: Int[np.ndarray, " levels"],
    alarms: Int[np.ndarray, " levels"],
    is_reversed: bool,
    members: int,
    non_members: int,
) -> tuple[float, Threshold]:
    enough = (alarms >= FALSE_POSITIVES_NEEDED) & (hits >= FALSE_POSITIVES_NEEDED) & (alarms < non_members)
    resolved = np.flatnonzero(enough)
    if len(resolved) == 0:
        return -np.inf, Threshold(-1)
    hits, alarms = hits[resolved], alarms[resolved]
    error = np.sqrt(1 / hits - 1 / members + 1 / alarms - 1 / non_members)
    lowest = np.log(hits / members) - np.log(alarms / non_members) - 2 * error
    best = int(np.argmax(lowest))
    return float(lowest[best]), Threshold(int(resolved[best]), is_reversed)


def rates(
    accepted: Bool[np.ndarray, "models samples"], member: Bool[np.ndarray, "models samples"]
) -> tuple[Linear, Linear]:
    """Return the true and the false positive rate of decisions, each with influences."""
    return _rate(accepted, member), _rate(accepted, ~member)


def price_of_choice(low: float, error: float, nothing: float) -> float:
    """Return how far the low end `low` of an interval is moved for what was chosen to make the number large.

    `error` is a standard error, `nothing` the value where there is nothing to find.

    >>> price_of_choice(0.5, 0.1, nothing=0.5), round(price_of_choice(0.9, 0.1, nothing=0.5), 4)
    (0.05, 0.0029)
    """
    if error <= 0:
        return 0.0
    return CHOICE * error / (1 + (max(low - nothing, 0.0) / error) ** 2)


def _rate(accepted: Bool[np.ndarray, "models samples"], among: Bool[np.ndarray, "models samples"]) -> Linear:
    value = accepted[among].mean()
    return Linear(float(value), np.where(among, accepted - value, 0.0) / among.sum())


def _untied(coins: np.ndarray) -> np.ndarray:
    """Return other coins where some are equal: each is mixed with how many equal ones stand before it."""
    order = np.argsort(coins, kind="stable")
    is_first = np.append(True, np.diff(coins[order]) != 0)
    places = np.arange(len(coins))
    before = places - np.maximum.accumulate(np.where(is_first, places, 0))
    untied = coins.copy()
    with np.errstate(over="ignore"):
        untied[order] = _mixed(coins[order] + _mixed(before.astype(np.uint64)))
    return untied


def _hashes(
    scores: Float[np.ndarray, "models samples"], member: Bool[np.ndarray, "models samples"], seed: int
) -> np.ndarray:
    """Return a hash of each column, [samples], of 64 bits (SplitMix64, Steele, Lea & Flood 2014)."""
    odd = generator(seed, "halves").integers(2**63, size=len(scores), dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    total = np.zeros(scores.shape[1], dtype=np.uint64)
    with np.errstate(over="ignore"):
        for factor, row, side in zip(odd, scores, member, strict=True):
            bits = (row.astype(np.float32) + np.float32(0)).view(np.uint32).astype(np.uint64)  # -0.0 becomes 0.0
            total += _mixed(2 * bits + side) * factor
        return _mixed(total)


def _mixed(bits: np.ndarray) -> np.ndarray:
    bits = bits + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
