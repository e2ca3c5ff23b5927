"""What a stacked attack looks at: attacks on single versions, differences between versions, the joint ratio.

Every feature is brought to the same scale by the ranks of its entries, written as normal deviates, so that neither the
long tails of a likelihood ratio nor the bounds of another attack weigh more than they say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy
from jaxtyping import Float

from quantmis.evidence import Evidence
from quantmis.joint.likelihood_ratio import JointLikelihoodRatio

Scores = Float[np.ndarray, "models samples"]


@dataclass(frozen=True, eq=False)
class Features:
    """Hold the aligned tables of versions, the scores of attacks on each, and the joint ratio where there is one."""

    tables: Sequence[Evidence]
    attacks: Sequence[Mapping[str, Scores]]
    ratio: JointLikelihoodRatio | None = None
    _made: dict[tuple[object, ...], Scores] = field(default_factory=dict[tuple[object, ...], Scores])

    def every(self, among: Sequence[int]) -> list[Scores]:
        """Return all features of the versions `among` these, by number."""
        return [*self.alone(among), *self.differences(among), *self._ratio(among)]

    def alone(self, among: Sequence[int]) -> list[Scores]:
        """Return the scores of attacks on single versions."""
        return [each for version in among for name in self.attacks[version] for each in self.of(name, [version])]

    def of(self, attack: str, among: Sequence[int]) -> list[Scores]:
        """Return the scores of one attack on each of the versions."""
        return [self._deviates((version, attack), self.attacks[version][attack]) for version in among]

    def differences(self, among: Sequence[int]) -> list[Scores]:
        """Return how signals differ from those under the first of the versions, with their sign and without."""
        first, *others = among
        return [each for other in others for each in self._difference(first, other)]

    def _deviates(self, key: tuple[object, ...], scores: Scores) -> Scores:
        """Return scores as normal deviates, made once for each `key`."""
        if key not in self._made:
            self._made[key] = normal_deviates(scores)
        return self._made[key]

    def _difference(self, first: int, other: int) -> list[Scores]:
        change = self.tables[other].signals.astype(float) - self.tables[first].signals
        return [self._deviates((first, other), change), self._deviates((first, other, "size"), np.abs(change))]

    def _ratio(self, among: Sequence[int]) -> list[Scores]:
        if self.ratio is None or len(among) == 1:
            return []
        return [self._deviates(("ratio", *among), self.ratio.scores(among))]


def normal_deviates(scores: Scores) -> Scores:
    """Return the normal deviates of the ranks of scores; those of equal entries are equal.

    >>> normal_deviates(np.array([[3.0, 1.0, 2.0]])).round(2).tolist()
    [[0.97, -0.97, 0.0]]
    """
    _, level, count = np.unique(scores, return_inverse=True, return_counts=True)
    middle = np.cumsum(count) - count / 2
    return scipy.special.ndtri(middle / scores.size)[level.reshape(scores.shape)]
