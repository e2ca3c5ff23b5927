"""Stacking (Wolpert 1992): how much to trust each feature is learned where who was a member is known to the attacker.

Learned on other pairs of twins, never on the target's; from the attacker's own models; or, of a single model without
any other, on half of the samples and used on the other half, both ways. The weights are those of a linear discriminant
(Fisher 1936) with a penalty, found in closed form, which makes it affordable to leave out each pair in its turn.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from quantmis.errors import require
from quantmis.stats.cluster import pair_id
from quantmis.stats.heldout import halves

Scores = Float[np.ndarray, "models samples"]
PENALTY, PENALTY_OF_FEW = 0.01, 50.0
"""Of squared weights, in units of a feature's variance: always, and over the number of entries learned from."""

FEWEST_PAIRS = 2


def over_pairs(features: Sequence[Scores], member: Bool[np.ndarray, "models samples"]) -> Scores:
    """Return scores of each pair of twins by weights learned on all other pairs; `UserError` for a single pair."""
    pair = pair_id(member)
    pairs = int(pair.max()) + 1
    require(pairs >= FEWEST_PAIRS, "the weights of features are learned on other pairs of models, and there is one")
    rows = [np.flatnonzero(pair == each) for each in range(pairs)]
    parts = [_Sums.of(_of_rows(features, each), member[each]) for each in rows]
    every, scores = _Sums.total(parts), np.empty(member.shape)
    for each, part in zip(rows, parts, strict=True):
        scores[each] = np.tensordot(every.without(part).weights(), _of_rows(features, each), 1)
    return scores


def _of_rows(features: Sequence[Scores], rows: Int[np.ndarray, " rows"]) -> Float[np.ndarray, "features rows samples"]:
    """Return all features of some models: of all models at once they would stand in memory twice."""
    return np.stack([each[rows] for each in features])


def from_references(
    references: Sequence[Float[np.ndarray, "references samples"]],
    reference_member: Bool[np.ndarray, "references samples"],
    features: Sequence[Float[np.ndarray, "targets samples"]],
) -> Float[np.ndarray, "targets samples"]:
    """Return scores by weights learned on the attacker's own models, whose features are `references`."""
    return np.tensordot(_Sums.of(np.stack(references), reference_member).weights(), np.stack(features), 1)


def over_samples(
    features: Sequence[Scores],
    member: Bool[np.ndarray, "models samples"],
    seed: int = 0,
    groups: Shaped[np.ndarray, " samples"] | None = None,
) -> Scores:
    """Return scores of each half of the samples by weights learned on the other half; one of `groups` is in one."""
    stacked, scores = np.stack(features), np.empty(member.shape)
    half = halves(stacked.sum(0), member, seed, groups)
    for side in (half, ~half):
        weights = _Sums.of(stacked[:, :, ~side], member[:, ~side]).weights()
        scores[:, side] = np.tensordot(weights, stacked[:, :, side], 1)
    return scores


@dataclass(frozen=True, eq=False)
class _Sums:
    """Hold the sums over entries that a linear discriminant is made of."""

    entries: int
    members: int
    feature: Float[np.ndarray, " features"]
    among_members: Float[np.ndarray, " features"]
    product: Float[np.ndarray, "features features"]

    @classmethod
    def of(
        cls, features: Float[np.ndarray, "features models samples"], member: Bool[np.ndarray, "models samples"]
    ) -> "_Sums":
        flat, trained = features.reshape(len(features), -1), member.ravel()
        return cls(trained.size, int(trained.sum()), flat.sum(1), flat @ trained.astype(float), flat @ flat.T)

    @classmethod
    def total(cls, parts: "Sequence[_Sums]") -> "_Sums":
        return cls(
            sum(each.entries for each in parts),
            sum(each.members for each in parts),
            np.sum([each.feature for each in parts], axis=0),
            np.sum([each.among_members for each in parts], axis=0),
            np.sum([each.product for each in parts], axis=0),
        )

    def without(self, part: "_Sums") -> "_Sums":
        return _Sums(
            self.entries - part.entries,
            self.members - part.members,
            self.feature - part.feature,
            self.among_members - part.among_members,
            self.product - part.product,
        )

    def weights(self) -> Float[np.ndarray, " features"]:
        """Return the weights of the features: (covariance + penalty)^-1 (mean of members - mean of all)."""
        mean = self.feature / self.entries
        covariance = self.product / self.entries - np.outer(mean, mean)
        penalty = PENALTY + PENALTY_OF_FEW / self.entries
        towards = self.among_members / max(self.members, 1) - mean
        return np.linalg.solve(covariance + penalty * np.eye(len(mean)), towards)
