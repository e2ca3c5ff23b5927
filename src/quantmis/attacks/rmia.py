"""Robust membership inference, RMIA (Zarifzadeh, Liu & Shokri 2024), and its tie-free form (after InfoRMIA 2025).

Is sample x more likely under the target, relative to the attacker's other models, than other samples z are? With
ratio(x) = p(x | target) / p(x), where p(x) is the mean over the references, the score is the fraction of samples z
with ratio(x) / ratio(z) >= gamma. That ratio factorises, so the fraction is the empirical distribution of ratio(z) at
ratio(x) / gamma: one sort and one search per model, never the matrix of all pairs. p is exp(-loss): the probability
of the right class for cross-entropy, an unnormalised likelihood for other losses.

The fraction takes at most (samples + 1) values, so that low false positive rates meet ties; and where little leaks,
all ratios lie within a factor gamma of each other and the fractions are 0: hence the default gamma of 1. The mean of
log(ratio(x) / ratio(z)) over z has no steps.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from quantmis.attacks.base import ATTACKS, Attack
from quantmis.attacks.reference_sets import ReferenceSets, reference_sets
from quantmis.errors import require
from quantmis.evidence import Evidence

TINY = 1e-300
FAR = 1e3
"""So many times the median distance from the median is far off."""


@ATTACKS.add
@dataclass(frozen=True)
class RMIA(Attack):
    """Score by the fraction of the table's samples that the sample's likelihood ratio exceeds `gamma` times.

    `online`: p(x) is the mean over all references; offline, over those not trained on x, and raised towards 1 to
    stand for the others: ((1 + offline) p + 1 - offline) / 2, with the paper's `offline` = 0.3. `log_average`: the
    mean of the log-ratios instead of the fraction. Raises `UserError` where a sample lacks a reference on a side
    that is needed, besides the target and its twin.

    >>> losses = np.array([[0.1, 2.0, 1.0]])
    >>> reference = Evidence(np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]), np.array([[True] * 3, [False] * 3]))
    >>> target = Evidence(losses, np.array([[False, True, True]]))
    >>> RMIA().score(target, reference).round(2).tolist()
    [[0.67, 0.33, 1.0]]
    """

    online: bool = True
    gamma: float = 1.0
    offline: float = 0.3
    log_average: bool = False

    name: ClassVar[str] = "rmia"
    description: ClassVar[str] = (
        "RMIA: asks how much more likely the model finds the record than it finds other records, compared "
        "with models that never saw it."
    )
    uses_references: ClassVar[bool] = True

    def __post_init__(self):
        require(self.gamma > 0, f"rmia: gamma must be positive, got {self.gamma}")
        require(0 <= self.offline <= 1, f"rmia: offline must lie between 0 and 1, got {self.offline}")

    def compute(self, target: Evidence, reference: Evidence | None) -> Float[np.ndarray, "models samples"]:
        """Return the fractions, or the mean log-ratios."""
        against = reference_sets(target, reference)
        against.require(self.name, trained=int(self.online), untrained=1)
        usual = _log_mean(against) if self.online else _log_offline_mean(against, self.offline)
        ratio = -target.losses.astype(float) - usual[against.of]
        if self.log_average:
            return ratio - np.array([[_usual_mean(row)] for row in ratio])
        return np.stack([_fraction_below(row, row - np.log(self.gamma)) for row in ratio])


def _usual_mean(ratio: Float[np.ndarray, " samples"]) -> float:
    """Return the mean of log-ratios without those far off, which would move every other sample's score."""
    middle = np.median(ratio)
    away = np.abs(ratio - middle)
    return float(ratio[away <= FAR * np.median(away)].mean()) if np.median(away) > 0 else float(middle)


def _fraction_below(population: Float[np.ndarray, " z"], at: Float[np.ndarray, " x"]) -> Float[np.ndarray, " x"]:
    return np.searchsorted(np.sort(population), at, side="right") / len(population)


def _log_mean(against: ReferenceSets) -> Float[np.ndarray, "sets samples"]:
    return against.sums(-against.models.losses.astype(float), np.logaddexp) - np.log(against.size)


def _log_offline_mean(against: ReferenceSets, offline: float) -> Float[np.ndarray, "sets samples"]:
    strangers = ~against.models.member
    terms = np.where(strangers, -against.models.losses.astype(float), -np.inf)
    mean = against.sums(terms, np.logaddexp) - np.log(against.untrained)
    return np.logaddexp(np.log1p(offline) + mean, np.log(max(1 - offline, TINY))) - np.log(2)
