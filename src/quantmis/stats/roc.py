"""The ROC curve of scores pooled over all models and samples, with ties counted half.

Quantized models make many exactly equal losses, so ties are the normal case: equal scores are one step of the curve,
a straight line that an attacker reaches by tossing a coin among them. Everything else here is read off the numbers of
members and of non-members at each distinct score.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from quantmis.errors import require
from quantmis.stats.cluster import Linear

FALSE_POSITIVES_NEEDED = 10


@dataclass(frozen=True, eq=False)
class Tally:
    """Count members and non-members at each distinct score, highest first.

    `level`: [models, samples], the position of each entry's score among the distinct ones. `score`, `members`,
    `non_members`: [levels].
    """

    level: Int[np.ndarray, "models samples"]
    score: Float[np.ndarray, " levels"]
    members: Int[np.ndarray, " levels"]
    non_members: Int[np.ndarray, " levels"]

    @property
    def trials(self) -> tuple[int, int]:
        """The numbers of members and of non-members."""
        return int(self.members.sum()), int(self.non_members.sum())

    @cached_property
    def rates(self) -> tuple[Float[np.ndarray, " levels"], Float[np.ndarray, " levels"]]:
        """The false and the true positive rate at each distinct score as the threshold (itself accepted)."""
        members, non_members = self.trials
        return self.non_members.cumsum() / non_members, self.members.cumsum() / members

    @cached_property
    def curve(self) -> "Curve":
        """The ROC curve, one point per distinct score."""
        (fpr, tpr), start = self.rates, np.zeros(1)
        return Curve(*(np.concatenate(ends) for ends in ((start, fpr), (start, tpr), (start + np.inf, self.score))))


@dataclass(frozen=True, eq=False)
class Curve:
    """Hold a ROC curve from (0, 0) to (1, 1); `threshold` is the lowest accepted score, infinite at the start."""

    fpr: Float[np.ndarray, " points"]
    tpr: Float[np.ndarray, " points"]
    threshold: Float[np.ndarray, " points"]


def tally(scores: Float[np.ndarray, "models samples"], member: Bool[np.ndarray, "models samples"]) -> Tally:
    """Count the entries at each distinct score; `UserError` for other shapes, NaN, or only members or non-members.

    >>> counts = tally(np.array([[3.0, 1.0, 1.0]]), np.array([[True, True, False]]))
    >>> counts.score.tolist(), counts.members.tolist(), counts.non_members.tolist()
    ([3.0, 1.0], [1, 1], [0, 1])
    """
    require(scores.shape == member.shape, f"scores: expected shape {member.shape} like member, got {scores.shape}")
    require(np.isfinite(scores).all(), "scores: some are NaN or infinite", hint="an attack must score every entry")
    require(member.any() and not member.all(), "a ROC curve needs members and non-members, got only one kind")
    score, level = np.unique(-scores, return_inverse=True)
    level = level.reshape(scores.shape)
    return Tally(level, -score, *_counts(level, member, len(score)))


def subset(counts: Tally, member: Bool[np.ndarray, "models samples"], columns: Bool[np.ndarray, " samples"]) -> Tally:
    """Return the tally of some columns, at the same distinct scores."""
    level = counts.level[:, columns]
    return Tally(level, counts.score, *_counts(level, member[:, columns], len(counts.score)))


def roc(scores: Float[np.ndarray, "models samples"], member: Bool[np.ndarray, "models samples"]) -> Curve:
    """Return the ROC curve, one point per distinct score.

    >>> curve = roc(np.array([[3.0, 1.0, 1.0]]), np.array([[True, True, False]]))
    >>> curve.fpr.tolist(), curve.tpr.tolist()
    ([0.0, 0.0, 1.0], [0.0, 0.5, 1.0])
    """
    return tally(scores, member).curve


def points(curve: Curve, number: int = 60) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, " points"]]:
    """Return about `number` points (fpr, tpr) of a curve for drawing on logarithmic axes, ends included.

    The smallest positive rate drawn is the curve's own smallest step; rates between steps are interpolated.
    """
    steps = curve.fpr[curve.fpr > 0]
    fpr = np.concatenate([[0.0], np.geomspace(steps[0], 1.0, number - 1)])
    fpr[-1] = 1.0
    return fpr, np.array([rate_at(curve, each) for each in fpr])


def rate_at(curve: Curve, fpr: float) -> float:
    """Return the true positive rate at false positive rate `fpr`, interpolated along ties; the upper end of a step."""
    after = int(np.searchsorted(curve.fpr, fpr, side="right"))
    if after == len(curve.fpr):
        return 1.0
    (left, right), (low, high) = curve.fpr[after - 1 : after + 1], curve.tpr[after - 1 : after + 1]
    return float(low + (high - low) * (fpr - left) / (right - left))


def step_at(curve: Curve, fpr: float) -> float:
    """Return the height of the step at a false positive rate, of which `rate_at` is the upper end; 0 without one.

    >>> step_at(roc(np.array([[4.0, 3.0, 2.0, 1.0]]), np.array([[False, True, True, False]])), 0.5)
    1.0
    """
    before, after = (int(np.searchsorted(curve.fpr, fpr, side=side)) for side in ("left", "right"))
    return float(curve.tpr[after - 1] - curve.tpr[before]) if after > before else 0.0


def auc(counts: Tally, member: Bool[np.ndarray, "models samples"]) -> Linear:
    """Return the probability that a member scores above a non-member, ties counted half."""
    members, non_members = counts.trials
    beaten = 1 - (counts.non_members.cumsum() - counts.non_members / 2) / non_members  # non-members below each score
    above = (counts.members.cumsum() - counts.members / 2) / members  # members above each score
    value = float(beaten @ counts.members / members)
    return Linear(
        value, np.where(member, (beaten[counts.level] - value) / members, (above[counts.level] - value) / non_members)
    )


def true_positive_rate(counts: Tally, member: Bool[np.ndarray, "models samples"], fpr: float) -> Linear:
    """Return the true positive rate at a false positive rate, whose threshold is itself estimated.

    The influence of a non-member is that on the threshold: the slope of the curve, taken over half of `fpr` to
    either side, times what the entry adds to the false positive rate.
    """
    curve, (members, non_members) = counts.curve, counts.trials
    value, reach = rate_at(curve, fpr), min(fpr, 1 - fpr) / 2
    slope = (rate_at(curve, fpr + reach) - rate_at(curve, fpr - reach)) / (2 * reach)
    accepted = acceptance(counts, fpr)[counts.level]
    return Linear(value, np.where(member, (accepted - value) / members, slope * (fpr - accepted) / non_members))


def acceptance(counts: Tally, fpr: float) -> Float[np.ndarray, " levels"]:
    """Return the probability of accepting each distinct score such that a fraction `fpr` of non-members is accepted."""
    non_members = counts.trials[1]
    after = counts.non_members.cumsum()
    room = (fpr * non_members - (after - counts.non_members)) / np.maximum(counts.non_members, 1)
    return np.where(counts.non_members > 0, np.clip(room, 0, 1), after <= fpr * non_members)


def _counts(
    level: Int[np.ndarray, "models samples"], member: Bool[np.ndarray, "models samples"], levels: int
) -> tuple[Int[np.ndarray, " levels"], Int[np.ndarray, " levels"]]:
    return np.bincount(level[member], minlength=levels), np.bincount(level[~member], minlength=levels)
